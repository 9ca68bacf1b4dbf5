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

        /// <summary>Makes a string (allocates): for names and messages that come seldom.</summary>
        public override string ToString() => System.Text.Encoding.UTF8.GetString(Buffer, Offset, Count);
    }
}
