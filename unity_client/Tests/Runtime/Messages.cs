using System;

namespace Facewire.Tests
{
    /// <summary>Makes the server's messages, as docs/wire.md has them.</summary>
    static class Messages
    {
        public static byte[] Frame(long seq, long captureNs, long publishNs, Action<float[]> fill = null, string sources = "video", FaceStreams streams = FaceStreams.Default)
        {
            var writer = new MsgpackWriter();
            var blendshapes = new float[ArkitBlendshapes.Count];
            fill?.Invoke(blendshapes);
            var parts = 0;
            foreach (var stream in new[] { FaceStreams.Blendshapes, FaceStreams.Head, FaceStreams.Gaze, FaceStreams.Landmarks, FaceStreams.Flame })
                if ((streams & stream) != 0) parts++;
            writer.WriteMap(6 + parts);
            Write(writer, "type", "frame");
            Write(writer, "seq", seq);
            Write(writer, "capture_ns", captureNs);
            Write(writer, "publish_ns", publishNs);
            Write(writer, "sources", sources);
            writer.WriteString("confidence");
            writer.WriteNumber(0.5);
            if ((streams & FaceStreams.Blendshapes) != 0) Write(writer, "blendshapes", blendshapes);
            if ((streams & FaceStreams.Head) != 0) Write(writer, "head", new[] { 0f, 0.6f, 0f, 0.8f, 0.01f, 0.02f, 0.5f });
            if ((streams & FaceStreams.Gaze) != 0) Write(writer, "gaze", new[] { 0.1f, 0.2f, 0.3f, 0.4f });
            if ((streams & FaceStreams.Landmarks) != 0) Write(writer, "landmarks", Ramp(3 * FaceFrame.LandmarkCount));
            if ((streams & FaceStreams.Flame) != 0) WriteFlame(writer);
            return Bytes(writer);
        }

        public static byte[] Hello(long protocol = 1, string session = "a", string[] names = null)
        {
            var writer = new MsgpackWriter();
            names = names ?? Names();
            writer.WriteMap(8);
            Write(writer, "type", "hello");
            Write(writer, "protocol", protocol);
            Write(writer, "server", "facewire/test");
            Write(writer, "session", session);
            writer.WriteString("blendshapes");
            writer.WriteArray(names.Length);
            foreach (var name in names) writer.WriteString(name);
            writer.WriteString("streams");
            writer.WriteArray(1);
            writer.WriteString("blendshapes");
            Write(writer, "clock_ns", 5);
            writer.WriteString("rate");
            writer.WriteNumber(60);
            return Bytes(writer);
        }

        public static byte[] Pong(long clientNs, long serverNs)
        {
            var writer = new MsgpackWriter();
            writer.WriteMap(3);
            Write(writer, "type", "pong");
            Write(writer, "client_ns", clientNs);
            Write(writer, "server_ns", serverNs);
            return Bytes(writer);
        }

        public static byte[] Status()
        {
            var writer = new MsgpackWriter();
            writer.WriteMap(4);
            Write(writer, "type", "status");
            writer.WriteString("rates");
            writer.WriteMap(1);
            writer.WriteString("publish");
            writer.WriteNumber(59.94);
            writer.WriteString("devices");
            writer.WriteArray(1);
            writer.WriteString("camera 0");
            Write(writer, "subscribers", 2);
            return Bytes(writer);
        }

        public static byte[] Error(string code, string text)
        {
            var writer = new MsgpackWriter();
            writer.WriteMap(3);
            Write(writer, "type", "error");
            Write(writer, "code", code);
            Write(writer, "message", text);
            return Bytes(writer);
        }

        public static byte[] Result(long id, bool ok, string error)
        {
            var writer = new MsgpackWriter();
            writer.WriteMap(4);
            Write(writer, "type", "result");
            Write(writer, "id", id);
            writer.WriteString("ok");
            writer.WriteBoolean(ok);
            writer.WriteString("error");
            if (error == null) writer.WriteNil();
            else writer.WriteString(error);
            return Bytes(writer);
        }

        public static string[] Names()
        {
            var names = new string[ArkitBlendshapes.Count];
            for (var i = 0; i < names.Length; i++) names[i] = ArkitBlendshapes.Names[i];
            return names;
        }

        public static byte[] Bytes(MsgpackWriter writer)
        {
            var bytes = new byte[writer.Count];
            Array.Copy(writer.Buffer, bytes, bytes.Length);
            return bytes;
        }

        public static float[] Ramp(int count)
        {
            var ramp = new float[count];
            for (var i = 0; i < count; i++) ramp[i] = 0.001f * i;
            return ramp;
        }

        static void WriteFlame(MsgpackWriter writer)
        {
            writer.WriteString("flame");
            writer.WriteMap(4);
            Write(writer, "expression", Ramp(50));
            Write(writer, "jaw", Ramp(3));
            Write(writer, "neck", Ramp(3));
            Write(writer, "eyes", Ramp(6));
        }

        static void Write(MsgpackWriter writer, string key, string value)
        {
            writer.WriteString(key);
            writer.WriteString(value);
        }

        static void Write(MsgpackWriter writer, string key, long value)
        {
            writer.WriteString(key);
            writer.WriteInteger(value);
        }

        static void Write(MsgpackWriter writer, string key, float[] values)
        {
            var bytes = new byte[4 * values.Length];
            Buffer.BlockCopy(values, 0, bytes, 0, bytes.Length);
            writer.WriteString(key);
            writer.WriteBinary(bytes);
        }
    }
}
