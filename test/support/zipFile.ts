import { crc32, deflateRawSync } from 'node:zlib';

/** An entry of an archive; all but the name may lie. */
export interface ZipPart {
  name: string;
  data: Uint8Array;
  deflate?: boolean;
  /** What the directory says of it; the name is that in the entry's own header. */
  says?: { localName?: string; method?: number; flags?: number; sum?: number; size?: number; begin?: number };
}

/** The bytes of a zip archive. */
export function zipFile(parts: ZipPart[], { count = parts.length } = {}): Buffer {
  const files: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const { name, data, deflate = false, says = {} } of parts) {
    const packed = deflate ? deflateRawSync(data) : Buffer.from(data);
    const { method = deflate ? 8 : 0, flags = 0, sum = crc32(data), size = data.length } = says;
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(flags, 2);
    common.writeUInt16LE(method, 4);
    common.writeUInt16LE(0x21, 8); // 1980-01-01
    common.writeUInt32LE(sum, 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(size, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(says.begin ?? at, 10);
    directory.push(Buffer.from('PK\x01\x02\x14\0', 'latin1'), common, rest, Buffer.from(name));
    const { localName = name } = says;
    const own = Buffer.from(common);
    own.writeUInt16LE(Buffer.byteLength(localName), 22);
    const file = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), own, Buffer.from(localName), packed]);
    files.push(file);
    at += file.length;
  }
  const listed = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(listed.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...files, listed, end]);
}
