using System;

namespace Facewire
{
    /// <summary>The server's first message: who it is and in which order its blendshapes come.</summary>
    public sealed class HelloMessage
    {
        public const long SupportedProtocol = 1;

        public long Protocol;
        public string Server = "";
        public string Session = "";
        public string[] Blendshapes = Array.Empty<string>();
        public string[] Streams = Array.Empty<string>();
        public long ClockNs;

        /// <summary>Frames a second that the source is expected to give; 0 where it is not known.</summary>
        public double Rate;

        /// <summary>The FLAME whose parameters the server can stream; empty where it names none.</summary>
        public string FlameModel = "";

        /// <summary>SHA-256 of that FLAME's file; empty where it is not known.</summary>
        public string FlameDigest = "";

        /// <summary>How many expression coefficients that FLAME's frames have; 0 where it is not known.</summary>
        public long FlameExpressions;

        const int MaxNames = 1024;

        public static bool TryDecode(byte[] buffer, int offset, int count, out HelloMessage hello)
        {
            hello = new HelloMessage { Protocol = -1 };
            var reader = new MsgpackReader(buffer, offset, count);
            if (!reader.TryReadMap(out var pairs)) return false;
            for (; pairs > 0; pairs--)
                if (!reader.TryReadString(out var key) || !hello.TryReadValue(ref reader, key)) return false;
            return hello.Protocol >= 0 && reader.Remaining == 0;
        }

        bool TryReadValue(ref MsgpackReader reader, in Slice key)
        {
            if (key.Is(WireNames.Protocol)) return reader.TryReadInteger(out Protocol);
            if (key.Is(WireNames.Server)) return TryReadText(ref reader, out Server);
            if (key.Is(WireNames.Session)) return TryReadText(ref reader, out Session);
            if (key.Is(WireNames.ClockNs)) return reader.TryReadInteger(out ClockNs);
            if (key.Is(WireNames.Rate)) return reader.TryReadNumber(out Rate);
            if (key.Is(WireNames.Blendshapes)) return TryReadNames(ref reader, out Blendshapes);
            if (key.Is(WireNames.Flame)) return TryReadFlame(ref reader);
            return key.Is(WireNames.Streams) ? TryReadNames(ref reader, out Streams) : reader.TrySkip();
        }

        bool TryReadFlame(ref MsgpackReader reader)
        {
            if (reader.Peek() == MsgpackType.Nil) return reader.TryReadNil();
            if (!reader.TryReadMap(out var pairs)) return false;
            for (; pairs > 0; pairs--)
                if (!reader.TryReadString(out var key) || !TryReadFlameValue(ref reader, key)) return false;
            return true;
        }

        bool TryReadFlameValue(ref MsgpackReader reader, in Slice key)
        {
            if (reader.Peek() == MsgpackType.Nil) return reader.TryReadNil();
            if (key.Is(WireNames.Model)) return TryReadText(ref reader, out FlameModel);
            if (key.Is(WireNames.Digest)) return TryReadText(ref reader, out FlameDigest);
            return key.Is(WireNames.Expressions) ? reader.TryReadInteger(out FlameExpressions) : reader.TrySkip();
        }

        static bool TryReadNames(ref MsgpackReader reader, out string[] names)
        {
            names = Array.Empty<string>();
            if (!reader.TryReadArray(out var count) || count > MaxNames) return false;
            names = new string[count];
            for (var i = 0; i < count; i++)
                if (!TryReadText(ref reader, out names[i])) return false;
            return true;
        }

        internal static bool TryReadText(ref MsgpackReader reader, out string text)
        {
            var read = reader.TryReadString(out var slice);
            text = read ? slice.ToString() : "";
            return read;
        }
    }
}
