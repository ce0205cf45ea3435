import type { Row } from './frame.js';

/*
 * The pixels of a picture as the cells of a figure, as many as a reader can distinguish.
 */

/** Most cells per side. */
const mostCells = 128;

interface Picture {
  /** A row per cell: its `column` and `row`, and under `field` the mean of `value` over its pixels. */
  cells(field: string, value: (pixel: number) => number): Row[];
  columns: number;
  rows: number;
}

/**
 * Divides a picture into cells.
 *
 * @param image picture whose pixels are numbered row by row
 */
export function pictureOf(image: { width: number; height: number }): Picture {
  const block = Math.ceil(Math.max(image.width, image.height) / mostCells);
  const columns = Math.ceil(image.width / block);
  const rows = Math.ceil(image.height / block);
  return {
    columns,
    rows,
    cells(field, value) {
      const sums = new Float64Array(columns * rows);
      const pixels = new Uint32Array(columns * rows);
      for (let y = 0; y < image.height; y++) {
        for (let x = 0; x < image.width; x++) {
          const cell = Math.floor(y / block) * columns + Math.floor(x / block);
          sums[cell]! += value(y * image.width + x);
          pixels[cell]! += 1;
        }
      }
      return Array.from(sums, (sum, cell) => ({
        column: cell % columns,
        row: Math.floor(cell / columns),
        [field]: sum / pixels[cell]!,
      }));
    },
  };
}
