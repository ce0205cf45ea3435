import type { Dataset, Samples } from './types.js';

/*
 * Draws the embedded data set: noisy grey images of ten shapes, drawn by integer arithmetic from a
 * counter-based hash, so that every machine makes the same bytes and no file is needed.
 *
 * It is hard for a linear model: a shape moves by up to 5 pixels each way and changes its size, thickness and
 * brightness, so that the mean images of the classes overlap; stray strokes and noise keep single pixels from
 * identifying a class.
 */

const SIDE = 28;
const FEATURES = SIDE * SIDE;
const TRAIN_COUNT = 10_000;
const TEST_COUNT = 2_000;
const FIXED_SEED = 0x05e70001;

const SHAPES = [
  'ring',
  'disc',
  'horizontal bar',
  'vertical bar',
  'rising diagonal',
  'falling diagonal',
  'plus',
  'diagonal cross',
  'square',
  'corner',
] as const;

type Shape = (typeof SHAPES)[number];

/** A 32-bit mixer, bijective with good avalanche ("lowbias32" of C. Wellons' hash-prospector). */
function mix(value: number): number {
  let h = value;
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return (h ^ (h >>> 16)) >>> 0;
}

/** Draws of one image: draw number n is a hash of (image, n), so no image depends on another. */
class Draws {
  private readonly key: number;
  private drawn = 0;

  constructor(image: number) {
    this.key = mix(FIXED_SEED ^ mix(image + 1));
  }

  bits(): number {
    this.drawn++;
    return mix(this.key ^ mix(this.drawn));
  }

  /** A whole number in low .. high. */
  between(low: number, high: number): number {
    return low + (this.bits() % (high - low + 1));
  }
}

/**
 * Whether a shape of half width `size` with lines `thick` wide covers the pixel (dx, dy) away from its
 * centre.
 */
function covers(shape: Shape, dx: number, dy: number, size: number, thick: number): boolean {
  const ax = Math.abs(dx);
  const ay = Math.abs(dy);
  if (ax > size || ay > size) return false;
  const distanceSquared = dx * dx + dy * dy;
  switch (shape) {
    case 'ring':
      return distanceSquared <= size ** 2 && distanceSquared > (size - thick) ** 2;
    case 'disc':
      return distanceSquared <= (size - 1) ** 2;
    case 'horizontal bar':
      return ay < thick;
    case 'vertical bar':
      return ax < thick;
    case 'rising diagonal':
      return Math.abs(dx + dy) <= thick;
    case 'falling diagonal':
      return Math.abs(dx - dy) <= thick;
    case 'plus':
      return ax < thick || ay < thick;
    case 'diagonal cross':
      return Math.abs(dx - dy) <= thick || Math.abs(dx + dy) <= thick;
    case 'square':
      return ax > size - thick || ay > size - thick;
    case 'corner':
      return dx < thick - size || dy > size - thick;
  }
}

/** Draws image number `image` into `pixels`: a shape on a dark background, then stray strokes, then noise. */
function drawImage(image: number, shape: Shape, pixels: Float32Array): void {
  const draws = new Draws(image);
  const size = draws.between(5, 9);
  const thick = draws.between(2, 3);
  const centreX = SIDE / 2 + draws.between(-5, 5);
  const centreY = SIDE / 2 + draws.between(-5, 5);
  const ground = draws.between(0, 40);
  const ink = ground + draws.between(50, 180);

  pixels.fill(ground);
  for (let y = Math.max(0, centreY - size); y <= Math.min(SIDE - 1, centreY + size); y++) {
    for (let x = Math.max(0, centreX - size); x <= Math.min(SIDE - 1, centreX + size); x++) {
      if (covers(shape, x - centreX, y - centreY, size, thick)) pixels[y * SIDE + x] = ink;
    }
  }

  for (let strokes = draws.between(0, 5); strokes > 0; strokes--) {
    const grey = draws.between(0, 200);
    const stepX = draws.between(-1, 1);
    const stepY = draws.between(-1, 1);
    let x = draws.between(0, SIDE - 1);
    let y = draws.between(0, SIDE - 1);
    for (let length = draws.between(3, 8); length > 0; length--) {
      if (x >= 0 && x < SIDE && y >= 0 && y < SIDE) pixels[y * SIDE + x] = grey;
      x += stepX;
      y += stepY;
    }
  }

  // One draw gives the noise, -30 .. 30, of four pixels.
  for (let first = 0; first < FEATURES; first += 4) {
    const bits = draws.bits();
    for (let i = 0; i < 4; i++) {
      const noise = (((bits >>> (8 * i)) & 255) % 61) - 30;
      pixels[first + i] = Math.min(255, Math.max(0, pixels[first + i]! + noise));
    }
  }
}

/** Images firstImage .. firstImage + count - 1, with the classes in turn. */
function drawSamples(firstImage: number, count: number): Samples {
  const x = new Float32Array(count * FEATURES);
  const labels = new Uint32Array(count);
  for (let row = 0; row < count; row++) {
    const label = row % SHAPES.length;
    labels[row] = label;
    drawImage(firstImage + row, SHAPES[label]!, x.subarray(row * FEATURES, (row + 1) * FEATURES));
  }
  return { x, labels, count, features: FEATURES };
}

/**
 * The embedded data set: 10,000 train and 2,000 test images, 28 × 28 grey (whole numbers 0 .. 255), ten
 * classes of equal size. Every machine makes the same bytes; each call draws them again, in about 0.2 s.
 *
 * Test accuracy on the first 5,000 train and 1,000 test images divided by 255 (NumPy, mini-batches of 40,
 * momentum 0.9): softmax regression, the best of 30 epochs at learning rates 0.005, 0.01 and 0.05: 0.455.
 * Dense 784-256-10 ReLU network, learning rate 0.05, three seeds: 0.83-0.84 after 2 epochs, 0.89-0.92 after
 * 5, 0.93-0.94 after 20.
 */
export function proceduralDataset(): Dataset {
  return {
    name: 'procedural',
    source: 'embedded',
    features: FEATURES,
    classes: SHAPES.length,
    classNames: [...SHAPES],
    train: drawSamples(0, TRAIN_COUNT),
    test: drawSamples(TRAIN_COUNT, TEST_COUNT),
    imageShape: [SIDE, SIDE],
    scaling: { kind: 'divide', by: 255 },
  };
}
