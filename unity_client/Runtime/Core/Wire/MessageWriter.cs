using System;

namespace Facewire
{
    /// <summary>Makes the messages that a client sends; each call writes over the writer's buffer.</summary>
    public static class MessageWriter
    {
        /// <summary>
        /// Asks for these streams, at most <paramref name="maxRate"/> frames a second (0.1 to 1000; 0 = every frame), as msgpack. What is
        /// the default is left out (wire.md, 3.2).
        /// </summary>
        public static void WriteSubscribe(MsgpackWriter writer, FaceStreams streams, double maxRate)
        {
            var named = streams != FaceStreams.Default;
            writer.Clear();
            writer.WriteMap(1 + (named ? 1 : 0) + (maxRate > 0 ? 1 : 0));
            WriteType(writer, "subscribe");
            if (named)
            {
                writer.WriteString("streams");
                WriteStreams(writer, streams);
            }
            if (maxRate <= 0) return;
            writer.WriteString("max_rate");
            WriteRate(writer, Math.Min(Math.Max(maxRate, 0.1), 1000));
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
            writer.WriteMap(arguments == null ? 3 : 4);
            WriteType(writer, "command");
            writer.WriteString("id");
            writer.WriteInteger(id);
            writer.WriteString("name");
            writer.WriteString(name);
            if (arguments == null) return;
            writer.WriteString("args");
            arguments.WriteTo(writer);
        }

        static void WriteRate(MsgpackWriter writer, double rate)
        {
            if (rate == Math.Floor(rate)) writer.WriteInteger((long)rate);
            else writer.WriteNumber(rate);
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
