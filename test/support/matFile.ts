import { deflateSync } from 'node:zlib';

/** Array classes and the element type that holds their values unless told otherwise. */
const CLASSES = {
  char: [4, 4],
  double: [6, 9],
  single: [7, 7],
  int8: [8, 1],
  uint8: [9, 2],
  int16: [10, 3],
  uint16: [11, 4],
  int32: [12, 5],
  uint32: [13, 6],
  int64: [14, 12],
  uint64: [15, 13],
  sparse: [5, 9],
  opaque: [17, 9],
} as const;

const VALUE_BYTES: Record<number, number> = { 1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8 };

export interface MatVariable {
  name: string;
  class: keyof typeof CLASSES;
  dimensions: number[];
  /** Column by column. */
  values: (number | bigint)[];
  /**
   * Of a sparse matrix: the row of each value, and which value each column begins with (and one more: the
   * end).
   */
  sparse?: { rows: number[]; starts: number[] };
  /** Element types other than the usual ones. */
  tags?: { flags?: number; dimensions?: number; name?: number };
  /** The element type of the values; default: that of the class. */
  storedAs?: number;
  complex?: boolean;
  logical?: boolean;
}

export interface MatFileOptions {
  littleEndian?: boolean;
  compressed?: boolean;
  /** Use small elements where they fit; default true, as MATLAB does. */
  small?: boolean;
}

/** An element, for what no variable is made of. Its data is padded to 8 bytes. */
export function matElement(type: number, data: Buffer): Buffer {
  const tag = Buffer.alloc(8);
  tag.writeUInt32LE(type, 0);
  tag.writeUInt32LE(data.length, 4);
  return Buffer.concat([tag, data, Buffer.alloc((8 - (data.length % 8)) % 8)]);
}

/** The bytes of a level 5 MAT-file, built by the format's description. */
export function matFile(variables: MatVariable[], options: MatFileOptions = {}): Buffer {
  const { littleEndian = true, compressed = false, small = true } = options;
  const integers = (bytes: number, signed: boolean, values: number[]): Buffer => {
    const buffer = Buffer.alloc(bytes * values.length);
    const name = `write${signed ? 'Int' : 'UInt'}${littleEndian ? 'LE' : 'BE'}` as 'writeIntLE';
    values.forEach((value, i) => {
      buffer[name](value, i * bytes, bytes);
    });
    return buffer;
  };
  const numbers = (type: number, values: (number | bigint)[]): Buffer => {
    if (type < 7) return integers(VALUE_BYTES[type]!, type % 2 === 1, values.map(Number));
    const buffer = Buffer.alloc(VALUE_BYTES[type]! * values.length);
    const view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    values.forEach((value, i) => {
      if (type === 7) view.setFloat32(4 * i, Number(value), littleEndian);
      else if (type === 9) view.setFloat64(8 * i, Number(value), littleEndian);
      else view.setBigUint64(8 * i, BigInt.asUintN(64, BigInt(value)), littleEndian);
    });
    return buffer;
  };
  const element = (type: number, data: Buffer): Buffer => {
    if (small && data.length > 0 && data.length <= 4 && type < 14) {
      const tag = integers(4, false, [data.length * 0x10000 + type]);
      return Buffer.concat([tag, data, Buffer.alloc(4 - data.length)]);
    }
    const padding = type === 15 ? 0 : (8 - (data.length % 8)) % 8;
    return Buffer.concat([integers(4, false, [type, data.length]), data, Buffer.alloc(padding)]);
  };

  const header = Buffer.alloc(128, ' ');
  header.write('MATLAB 5.0 MAT-file, made by a test');
  header.fill(0, 116, 124);
  integers(2, false, [0x0100]).copy(header, 124);
  header.write(littleEndian ? 'IM' : 'MI', 126);
  const parts = variables.map((variable) => {
    const [arrayClass, type] = CLASSES[variable.class];
    const stored = variable.storedAs ?? type;
    const { tags = {}, sparse } = variable;
    const flags = arrayClass + (variable.complex ? 0x800 : 0) + (variable.logical ? 0x200 : 0);
    const body = Buffer.concat([
      element(tags.flags ?? 6, integers(4, false, [flags, 0])),
      ...(variable.class === 'opaque'
        ? []
        : [element(tags.dimensions ?? 5, integers(4, true, variable.dimensions))]),
      element(tags.name ?? 1, Buffer.from(variable.name, tags.name === 16 ? 'utf8' : 'latin1')),
      ...(sparse === undefined
        ? []
        : [sparse.rows, sparse.starts].map((list) => element(5, integers(4, true, list)))),
      element(stored, numbers(stored, variable.values)),
    ]);
    const matrix = element(14, body);
    return compressed ? element(15, deflateSync(matrix)) : matrix;
  });
  return Buffer.concat([header, ...parts]);
}
