/** Pictures as numbers: sizes, and the way from a canvas's bytes to the network's planes and back. */

/** Width and height, pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** A canvas's picture: red, green, blue, alpha, row by row, 0 .. 255. */
export interface Pixels extends Size {
  readonly data: Uint8ClampedArray<ArrayBuffer>;
}

/** The least side of a picture that the network takes, pixels. */
export const LEAST_SIDE = 16;

/** The size at which the longer side is `longer`; a smaller one stays as it is, unless it is `enlarged`. */
export function fitted(size: Size, longer: number, enlarged = false): Size {
  const scale = Math.min(enlarged ? Infinity : 1, longer / Math.max(size.width, size.height));
  return { width: side(size.width * scale), height: side(size.height * scale) };
}

function side(length: number): number {
  return Math.max(1, Math.round(length));
}

/** Planes `[3, h, w]` in [0, 1] of a picture; what is transparent becomes white. */
export function toPlanes(pixels: Pixels): Float32Array<ArrayBuffer> {
  const count = pixels.width * pixels.height;
  const planes = new Float32Array(3 * count);
  for (let place = 0; place < count; place++) {
    const alpha = pixels.data[4 * place + 3]! / 255;
    for (let channel = 0; channel < 3; channel++) {
      planes[channel * count + place] = 1 - alpha + (alpha * pixels.data[4 * place + channel]!) / 255;
    }
  }
  return planes;
}

/** A canvas's picture of planes `[3, h, w]` in [0, 1], as transparent as `like`, whose size it has. */
export function toPixels(planes: Float32Array, like: Pixels): Pixels {
  const count = like.width * like.height;
  if (planes.length !== 3 * count) {
    throw new RangeError(`The network made ${planes.length} values, not ${3 * count}.`);
  }
  const data = new Uint8ClampedArray(4 * count);
  for (let place = 0; place < count; place++) {
    for (let channel = 0; channel < 3; channel++) {
      data[4 * place + channel] = 255 * planes[channel * count + place]!;
    }
    data[4 * place + 3] = like.data[4 * place + 3]!;
  }
  return { data, width: like.width, height: like.height };
}
