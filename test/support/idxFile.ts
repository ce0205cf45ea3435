/** The bytes of an IDX file of unsigned bytes. */
export function idxFile(dimensions: number[], values: Iterable<number>): Buffer {
  const header = Buffer.alloc(4 + 4 * dimensions.length);
  header[2] = 8;
  header[3] = dimensions.length;
  dimensions.forEach((dimension, d) => {
    header.writeUInt32BE(dimension, 4 + 4 * d);
  });
  return Buffer.concat([header, Buffer.from([...values])]);
}
