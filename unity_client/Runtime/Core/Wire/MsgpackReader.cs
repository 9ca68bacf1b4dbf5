using System;

namespace Facewire
{
    /// <summary>
    /// Reads msgpack (specification of 2013-08, with bin) in place: no allocation, no exception on any input.
    /// Every Try method returns false where the value is cut off, malformed or of another type; reading stops there.
    /// </summary>
    public struct MsgpackReader
    {
        readonly byte[] _buffer;
        readonly int _end;
        int _position;

        public MsgpackReader(byte[] buffer, int offset, int count)
        {
            _buffer = buffer;
            _position = offset;
            _end = offset + count;
        }

        public int Remaining => _end - _position;

        public MsgpackType Peek() => _position < _end ? TypeOf(_buffer[_position]) : MsgpackType.End;

        public bool TryReadMap(out int pairs) => TryReadHeader(0x80, 0x0f, 0xde, 2, out pairs);

        public bool TryReadArray(out int items) => TryReadHeader(0x90, 0x0f, 0xdc, 1, out items);

        public bool TryReadString(out Slice text)
        {
            text = default;
            if (_position >= _end) return false;
            int tag = _buffer[_position];
            int count;
            if ((tag & 0xe0) == 0xa0)
            {
                count = tag & 0x1f;
                _position++;
            }
            else if (tag < 0xd9 || tag > 0xdb || !TryReadLength(1 << (tag - 0xd9), out count)) return false;
            return TryTake(count, out text);
        }

        public bool TryReadBinary(out Slice bytes)
        {
            bytes = default;
            if (_position >= _end) return false;
            int tag = _buffer[_position];
            if (tag < 0xc4 || tag > 0xc6 || !TryReadLength(1 << (tag - 0xc4), out var count)) return false;
            return TryTake(count, out bytes);
        }

        public bool TryReadBoolean(out bool value)
        {
            value = false;
            if (_position >= _end || (_buffer[_position] & 0xfe) != 0xc2) return false;
            value = _buffer[_position++] == 0xc3;
            return true;
        }

        public bool TryReadNil()
        {
            if (_position >= _end || _buffer[_position] != 0xc0) return false;
            _position++;
            return true;
        }

        /// <summary>Reads any integer that fits; an unsigned one beyond 2^63 - 1 is refused.</summary>
        public bool TryReadInteger(out long value)
        {
            value = 0;
            if (_position >= _end) return false;
            int tag = _buffer[_position];
            if (tag <= 0x7f || tag >= 0xe0)
            {
                value = (sbyte)tag;
                _position++;
                return true;
            }
            if (tag < 0xcc || tag > 0xd3) return false;
            var size = 1 << ((tag - 0xcc) & 3);
            if (Remaining < 1 + size) return false;
            var raw = BigEndian(_position + 1, size);
            value = tag >= 0xd0 ? SignExtend(raw, size) : (long)raw;
            _position += 1 + size;
            return tag >= 0xd0 || value >= 0;
        }

        /// <summary>Reads a float of either width, or an integer.</summary>
        public bool TryReadNumber(out double value)
        {
            value = 0;
            if (_position >= _end) return false;
            var tag = _buffer[_position];
            if (tag == 0xca && Remaining >= 5)
            {
                value = BitConverter.Int32BitsToSingle((int)BigEndian(_position + 1, 4));
                _position += 5;
                return true;
            }
            if (tag == 0xcb && Remaining >= 9)
            {
                value = BitConverter.Int64BitsToDouble((long)BigEndian(_position + 1, 8));
                _position += 9;
                return true;
            }
            if (!TryReadInteger(out var integer)) return false;
            value = integer;
            return true;
        }

        /// <summary>Steps over one value of any type, nested ones included; a loop, so depth cannot exhaust the stack.</summary>
        public bool TrySkip()
        {
            for (long left = 1; left > 0; left--)
            {
                switch (Peek())
                {
                    case MsgpackType.Map:
                        if (!TryReadMap(out var pairs)) return false;
                        left += 2L * pairs;
                        break;
                    case MsgpackType.Array:
                        if (!TryReadArray(out var items)) return false;
                        left += items;
                        break;
                    default:
                        if (!TrySkipScalar()) return false;
                        break;
                }
            }
            return true;
        }

        bool TrySkipScalar()
        {
            switch (Peek())
            {
                case MsgpackType.Nil: return TryReadNil();
                case MsgpackType.Boolean: return TryReadBoolean(out _);
                case MsgpackType.String: return TryReadString(out _);
                case MsgpackType.Binary: return TryReadBinary(out _);
                case MsgpackType.Extension: return TrySkipExtension();
                case MsgpackType.Integer:
                    int tag = _buffer[_position];
                    return TryTake(tag < 0xcc || tag > 0xd3 ? 1 : 1 + (1 << ((tag - 0xcc) & 3)), out _);
                case MsgpackType.Float: return TryTake(_buffer[_position] == 0xca ? 5 : 9, out _);
                default: return false;
            }
        }

        bool TrySkipExtension()
        {
            int tag = _buffer[_position];
            int count;
            if (tag >= 0xd4)
            {
                count = 1 << (tag - 0xd4);
                _position++;
            }
            else if (!TryReadLength(1 << (tag - 0xc7), out count)) return false;
            return Remaining > count && TryTake(count + 1, out _);
        }

        /// <summary>A container's header; its count is refused where the rest of the message cannot hold so many values.</summary>
        bool TryReadHeader(int fixTag, int fixMask, int tag16, int valuesPerItem, out int count)
        {
            count = 0;
            if (_position >= _end) return false;
            int tag = _buffer[_position];
            if ((tag & ~fixMask) == fixTag)
            {
                count = tag & fixMask;
                _position++;
            }
            else if ((tag != tag16 && tag != tag16 + 1) || !TryReadLength(tag == tag16 ? 2 : 4, out count)) return false;
            return (long)count * valuesPerItem <= Remaining;
        }

        bool TryReadLength(int size, out int count)
        {
            count = 0;
            if (Remaining < 1 + size) return false;
            var length = BigEndian(_position + 1, size);
            if (length > int.MaxValue) return false;
            _position += 1 + size;
            count = (int)length;
            return true;
        }

        bool TryTake(int count, out Slice slice)
        {
            slice = new Slice(_buffer, _position, count);
            if (count > Remaining) return false;
            _position += count;
            return true;
        }

        ulong BigEndian(int offset, int size)
        {
            ulong value = 0;
            for (var i = 0; i < size; i++) value = (value << 8) | _buffer[offset + i];
            return value;
        }

        static long SignExtend(ulong raw, int size) => (long)(raw << (64 - 8 * size)) >> (64 - 8 * size);

        static MsgpackType TypeOf(byte tag)
        {
            if (tag <= 0x7f || tag >= 0xe0) return MsgpackType.Integer;
            if (tag <= 0x8f) return MsgpackType.Map;
            if (tag <= 0x9f) return MsgpackType.Array;
            if (tag <= 0xbf) return MsgpackType.String;
            if (tag == 0xc0) return MsgpackType.Nil;
            if (tag == 0xc1) return MsgpackType.Invalid;
            if (tag <= 0xc3) return MsgpackType.Boolean;
            if (tag <= 0xc6) return MsgpackType.Binary;
            if (tag <= 0xc9) return MsgpackType.Extension;
            if (tag <= 0xcb) return MsgpackType.Float;
            if (tag <= 0xd3) return MsgpackType.Integer;
            if (tag <= 0xd8) return MsgpackType.Extension;
            if (tag <= 0xdb) return MsgpackType.String;
            return tag <= 0xdd ? MsgpackType.Array : MsgpackType.Map;
        }
    }
}
