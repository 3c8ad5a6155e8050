/** Pictures of files, cameras and canvases: reading, scaling, saving. */

import { fitted, LEAST_SIDE, type Pixels, type Size } from "./pixels";
import { Problem } from "./problem";

/** A picture keeps this longer side at most, pixels; it is more than any size that is painted. */
const LARGEST = 1024;
/** The longest a picture may be, as a multiple of its shorter side, so that it can be painted at every size. */
const LONGEST = 16;
/** Reductions by more than this are made in steps, which keeps them smooth in every browser. */
const STEP = 2;

/** A picture that was chosen. */
export interface Chosen {
  /** The file's name without its ending. */
  readonly name: string;
  readonly canvas: HTMLCanvasElement;
}

/** The formats in which a picture can be saved. */
export const FORMATS = {
  png: { type: "image/png", ending: "png" },
  jpeg: { type: "image/jpeg", ending: "jpg" },
} as const;

const JPEG_QUALITY = 0.92;

/** Reads a picture file, upright by its EXIF rotation. Throws a `Problem` where this is none. */
export async function readPicture(file: Blob, name: string): Promise<Chosen> {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" }).catch(() => undefined);
  if (bitmap === undefined) {
    throw new Problem(`“${name}” is not a picture that this browser can read: choose a JPEG, PNG or WebP file.`);
  }
  try {
    return { name: name.replace(/\.[^.]*$/, ""), canvas: kept(bitmap, bitmap, name) };
  } finally {
    bitmap.close();
  }
}

/** A picture of a source that shows one, such as a camera, scaled down to what is kept. */
export function kept(source: CanvasImageSource, size: Size, name: string): HTMLCanvasElement {
  const [shorter, longer] = [Math.min(size.width, size.height), Math.max(size.width, size.height)];
  if (shorter < LEAST_SIDE || longer > LONGEST * shorter) {
    throw new Problem(
      `“${name}” has ${size.width} × ${size.height} pixels: it needs ${LEAST_SIDE} a side, ` +
        `and to be at most ${LONGEST} times as long as wide.`,
    );
  }
  return scaled(source, size, LARGEST);
}

/** A picture of another size; see `fitted`. */
export function scaled(source: CanvasImageSource, size: Size, longer: number, enlarged = false): HTMLCanvasElement {
  const goal = fitted(size, longer, enlarged);
  let [from, at] = [source, size];
  for (;;) {
    const last = at.width <= STEP * goal.width && at.height <= STEP * goal.height;
    at = last ? goal : { width: Math.ceil(at.width / STEP), height: Math.ceil(at.height / STEP) };
    const canvas = document.createElement("canvas");
    canvas.width = at.width;
    canvas.height = at.height;
    const context = drawing(canvas);
    context.imageSmoothingQuality = "high";
    context.drawImage(from, 0, 0, at.width, at.height);
    if (last) return canvas;
    from = canvas;
  }
}

/** The pixels of a picture at a size; see `fitted`. */
export function pixelsOf(canvas: HTMLCanvasElement, longer: number, enlarged = false): Pixels {
  const { width, height } = fitted(canvas, longer, enlarged);
  const { data } = drawing(scaled(canvas, canvas, longer, enlarged)).getImageData(0, 0, width, height);
  return { data: data as Uint8ClampedArray<ArrayBuffer>, width, height };
}

/** Shows a picture on a canvas, which takes its size. */
export function show(pixels: Pixels, canvas: HTMLCanvasElement): void {
  canvas.width = pixels.width;
  canvas.height = pixels.height;
  drawing(canvas).putImageData(new ImageData(pixels.data, pixels.width, pixels.height), 0, 0);
}

/** A canvas's picture as a file. JPEG has no transparency: there it becomes white. */
export async function encoded(canvas: HTMLCanvasElement, format: keyof typeof FORMATS): Promise<Blob> {
  let source = canvas;
  if (format === "jpeg") {
    source = document.createElement("canvas");
    source.width = canvas.width;
    source.height = canvas.height;
    const context = drawing(source);
    context.fillStyle = "white";
    context.fillRect(0, 0, source.width, source.height);
    context.drawImage(canvas, 0, 0);
  }
  const blob = await new Promise<Blob | null>((resolve) => source.toBlob(resolve, FORMATS[format].type, JPEG_QUALITY));
  if (blob === null) throw new Problem("The picture could not be saved: the memory is not enough.");
  return blob;
}

/** Hands a file to the browser's downloads. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser reads it after the click
}

function drawing(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Problem("The memory is not enough for this picture: close other pages.");
  return context;
}
