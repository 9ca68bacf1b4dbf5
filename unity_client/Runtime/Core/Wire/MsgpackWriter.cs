using System;
using System.Text;

namespace Facewire
{
    /// <summary>Writes msgpack into one buffer that is kept and grows to the largest message; every value takes its shortest form.</summary>
    public sealed class MsgpackWriter
    {
        byte[] _buffer = new byte[256];

        /// <summary>The message so far: the first <see cref="Count"/> bytes.</summary>
        public byte[] Buffer => _buffer;

        public int Count { get; private set; }

        public void Clear() => Count = 0;

        public void WriteMap(int pairs) => WriteHeader(pairs, 0x80, 16, 0xde);

        public void WriteArray(int items) => WriteHeader(items, 0x90, 16, 0xdc);

        public void WriteNil() => Put(0xc0);

        public void WriteBoolean(bool value) => Put(value ? 0xc3 : 0xc2);

        public void WriteNumber(double value)
        {
            Put(0xcb);
            PutBigEndian((ulong)BitConverter.DoubleToInt64Bits(value), 8);
        }

        public void WriteInteger(long value)
        {
            if (value >= 0) WriteUnsigned((ulong)value);
            else if (value >= -32) Put((int)(value & 0xff));
            else if (value >= sbyte.MinValue) Put(0xd0, value, 1);
            else if (value >= short.MinValue) Put(0xd1, value, 2);
            else if (value >= int.MinValue) Put(0xd2, value, 4);
            else Put(0xd3, value, 8);
        }

        public void WriteString(string text)
        {
            var count = Encoding.UTF8.GetByteCount(text);
            if (count < 32) Put(0xa0 | count);
            else if (count <= byte.MaxValue) Put(0xd9, count, 1);
            else if (count <= ushort.MaxValue) Put(0xda, count, 2);
            else Put(0xdb, count, 4);
            Reserve(count);
            Encoding.UTF8.GetBytes(text, 0, text.Length, _buffer, Count);
            Count += count;
        }

        public void WriteBinary(byte[] bytes)
        {
            if (bytes.Length <= byte.MaxValue) Put(0xc4, bytes.Length, 1);
            else if (bytes.Length <= ushort.MaxValue) Put(0xc5, bytes.Length, 2);
            else Put(0xc6, bytes.Length, 4);
            Reserve(bytes.Length);
            Array.Copy(bytes, 0, _buffer, Count, bytes.Length);
            Count += bytes.Length;
        }

        void WriteUnsigned(ulong value)
        {
            if (value <= 0x7f) Put((int)value);
            else if (value <= byte.MaxValue) Put(0xcc, (long)value, 1);
            else if (value <= ushort.MaxValue) Put(0xcd, (long)value, 2);
            else if (value <= uint.MaxValue) Put(0xce, (long)value, 4);
            else Put(0xcf, (long)value, 8);
        }

        void WriteHeader(int count, int fixTag, int fixLimit, int tag16)
        {
            if (count < fixLimit) Put(fixTag | count);
            else if (count <= ushort.MaxValue) Put(tag16, count, 2);
            else Put(tag16 + 1, count, 4);
        }

        void Put(int value)
        {
            Reserve(1);
            _buffer[Count++] = (byte)value;
        }

        void Put(int tag, long value, int size)
        {
            Put(tag);
            PutBigEndian((ulong)value, size);
        }

        void PutBigEndian(ulong value, int size)
        {
            Reserve(size);
            for (var i = size - 1; i >= 0; i--) _buffer[Count++] = (byte)(value >> (8 * i));
        }

        void Reserve(int size)
        {
            if (Count + size > _buffer.Length) Array.Resize(ref _buffer, Math.Max(Count + size, 2 * _buffer.Length));
        }
    }
}
