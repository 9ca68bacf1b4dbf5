namespace Facewire
{
    /// <summary>A stretch of a byte array: where a string or a binary value lies in the message that is being read.</summary>
    public readonly struct Slice
    {
        public readonly byte[] Buffer;
        public readonly int Offset;
        public readonly int Count;

        public Slice(byte[] buffer, int offset, int count)
        {
            Buffer = buffer;
            Offset = offset;
            Count = count;
        }

        /// <summary>Compares with the UTF-8 bytes of a known name, without making a string.</summary>
        public bool Is(byte[] name)
        {
            if (name.Length != Count) return false;
            for (var i = 0; i < Count; i++)
                if (Buffer[Offset + i] != name[i]) return false;
            return true;
        }

        /// <summary>Whether the bytes are well-formed UTF-8 (RFC 3629, 4): no stray, missing or overlong bytes, no surrogates.</summary>
        public bool IsUtf8()
        {
            for (int i = Offset, end = Offset + Count; i < end;)
            {
                int lead = Buffer[i++];
                if (lead < 0x80) continue;
                var more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
                if (lead < 0xc2 || lead > 0xf4 || i + more > end) return false;
                int second = Buffer[i];
                var tooLow = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
                var tooHigh = (lead == 0xed && second > 0x9f) || (lead == 0xf4 && second > 0x8f);
                if (tooLow || tooHigh) return false;
                for (; more > 0; more--)
                    if ((Buffer[i++] & 0xc0) != 0x80) return false;
            }
            return true;
        }

        /// <summary>Makes a string (allocates): for names and messages that come seldom.</summary>
        public override string ToString() => System.Text.Encoding.UTF8.GetString(Buffer, Offset, Count);
    }
}
