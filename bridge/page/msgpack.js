// A reader of msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md). Integers beyond 2^53 lose their last digits:
// times stay exact for 104 days.

const text = new TextDecoder("utf-8", { fatal: true });

/** Return the value in `buffer` (an ArrayBuffer). Bins come as DataViews. Throws RangeError where it is cut or malformed. */
export function decode(buffer) {
  const view = new DataView(buffer);
  let at = 0;

  const take = (count) => {
    if (at + count > view.byteLength) throw new RangeError("msgpack: cut");
    at += count;
    return at - count;
  };
  const u8 = () => view.getUint8(take(1));
  const u16 = () => view.getUint16(take(2));
  const u32 = () => view.getUint32(take(4));
  const string = (size) => text.decode(new Uint8Array(buffer, take(size), size));
  const bin = (size) => new DataView(buffer, take(size), size);
  const array = (size) => Array.from({ length: size }, value);
  const ext = (size) => (take(1 + size), undefined);
  const map = (size) => {
    const result = Object.create(null); // A key such as __proto__ is a key like any other.
    for (let i = 0; i < size; i++) {
      const key = value();
      result[key] = value();
    }
    return result;
  };

  function value() {
    const byte = u8();
    if (byte < 0x80) return byte;
    if (byte < 0x90) return map(byte & 15);
    if (byte < 0xa0) return array(byte & 15);
    if (byte < 0xc0) return string(byte & 31);
    if (byte >= 0xe0) return byte - 256;
    switch (byte) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return bin(u8());
      case 0xc5: return bin(u16());
      case 0xc6: return bin(u32());
      case 0xc7: return ext(u8());
      case 0xc8: return ext(u16());
      case 0xc9: return ext(u32());
      case 0xca: return view.getFloat32(take(4));
      case 0xcb: return view.getFloat64(take(8));
      case 0xcc: return u8();
      case 0xcd: return u16();
      case 0xce: return u32();
      case 0xcf: return Number(view.getBigUint64(take(8)));
      case 0xd0: return view.getInt8(take(1));
      case 0xd1: return view.getInt16(take(2));
      case 0xd2: return view.getInt32(take(4));
      case 0xd3: return Number(view.getBigInt64(take(8)));
      case 0xd4: return ext(1);
      case 0xd5: return ext(2);
      case 0xd6: return ext(4);
      case 0xd7: return ext(8);
      case 0xd8: return ext(16);
      case 0xd9: return string(u8());
      case 0xda: return string(u16());
      case 0xdb: return string(u32());
      case 0xdc: return array(u16());
      case 0xdd: return array(u32());
      case 0xde: return map(u16());
      case 0xdf: return map(u32());
      default: throw new RangeError("msgpack: reserved byte");
    }
  }

  const result = value();
  if (at !== view.byteLength) throw new RangeError("msgpack: bytes left over");
  return result;
}

/** Return the float32 numbers in a bin. */
export function floats(bin) {
  const result = new Float32Array(bin.byteLength >> 2);
  for (let i = 0; i < result.length; i++) result[i] = bin.getFloat32(4 * i, true);
  return result;
}
