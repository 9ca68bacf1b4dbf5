namespace Facewire
{
    /// <summary>Makes the messages that a client sends; each call writes over the writer's buffer.</summary>
    public static class MessageWriter
    {
        /// <summary>Asks for these streams, at most <paramref name="maxRate"/> frames a second; 0 = every frame.</summary>
        public static void WriteSubscribe(MsgpackWriter writer, FaceStreams streams, double maxRate)
        {
            writer.Clear();
            writer.WriteMap(maxRate > 0 ? 4 : 3);
            WriteType(writer, "subscribe");
            writer.WriteString("streams");
            WriteStreams(writer, streams);
            if (maxRate > 0)
            {
                writer.WriteString("max_rate");
                writer.WriteNumber(maxRate);
            }
            writer.WriteString("format");
            writer.WriteString("msgpack");
        }

        public static void WritePing(MsgpackWriter writer, long clientNs)
        {
            writer.Clear();
            writer.WriteMap(2);
            WriteType(writer, "ping");
            writer.WriteString("client_ns");
            writer.WriteInteger(clientNs);
        }

        public static void WriteCommand(MsgpackWriter writer, long id, string name, CommandArguments arguments)
        {
            writer.Clear();
            writer.WriteMap(4);
            WriteType(writer, "command");
            writer.WriteString("id");
            writer.WriteInteger(id);
            writer.WriteString("name");
            writer.WriteString(name);
            writer.WriteString("args");
            if (arguments == null) writer.WriteMap(0);
            else arguments.WriteTo(writer);
        }

        static void WriteType(MsgpackWriter writer, string type)
        {
            writer.WriteString("type");
            writer.WriteString(type);
        }

        static void WriteStreams(MsgpackWriter writer, FaceStreams streams)
        {
            var count = 0;
            for (var i = 0; i < Streams.Length; i++) count += ((int)streams >> i) & 1;
            writer.WriteArray(count);
            for (var i = 0; i < Streams.Length; i++)
                if ((((int)streams >> i) & 1) != 0) writer.WriteString(Streams[i]);
        }

        /// <summary>In the order of the bits of <see cref="FaceStreams"/>.</summary>
        static readonly string[] Streams = { "blendshapes", "head", "gaze", "landmarks", "flame" };
    }
}
