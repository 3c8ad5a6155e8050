import assert from "node:assert/strict";
import { test } from "node:test";
import { fitted, type Pixels, toPixels, toPlanes } from "../src/pixels";

function picture(width: number, height: number, ...data: number[]): Pixels {
  return { data: Uint8ClampedArray.from(data), width, height };
}

test("the longer side becomes what was asked for, the other follows", () => {
  assert.deepEqual(fitted({ width: 4000, height: 3000 }, 512), { width: 512, height: 384 });
  assert.deepEqual(fitted({ width: 3000, height: 4000 }, 512), { width: 384, height: 512 });
  assert.deepEqual(fitted({ width: 1001, height: 333 }, 500), { width: 500, height: 166 });
});

test("nothing is enlarged, and no side becomes nothing", () => {
  assert.deepEqual(fitted({ width: 100, height: 80 }, 512), { width: 100, height: 80 });
  assert.deepEqual(fitted({ width: 5000, height: 2 }, 256), { width: 256, height: 1 });
});

test("what is to be enlarged gets the longer side that was asked for", () => {
  assert.deepEqual(fitted({ width: 48, height: 64 }, 512, true), { width: 384, height: 512 });
  assert.deepEqual(fitted({ width: 4000, height: 3000 }, 512, true), { width: 512, height: 384 });
});

test("planes are red, then green, then blue, in [0, 1], row by row", () => {
  const planes = toPlanes(picture(2, 1, 255, 0, 51, 255, 0, 255, 102, 255));
  assert.deepEqual([...planes], [1, 0, 0, 1, 51 / 255, 102 / 255].map(Math.fround));
});

test("what is transparent becomes white, in proportion", () => {
  const [clear, half] = [toPlanes(picture(1, 1, 0, 0, 0, 0)), toPlanes(picture(1, 1, 0, 255, 0, 51))];
  assert.deepEqual([...clear], [1, 1, 1]);
  assert.deepEqual([...half].map((value) => Number(value.toFixed(6))), [0.8, 1, 0.8]);
});

test("planes become the picture that they were, as transparent as it was", () => {
  const values = Array.from({ length: 24 }, (_, place) => (place % 4 === 3 ? 255 : (place * 37) % 256));
  const opaque = picture(3, 2, ...values);
  assert.deepEqual(toPixels(toPlanes(opaque), opaque), opaque);
  const clear = picture(1, 1, 0, 0, 0, 7);
  assert.equal(toPixels(toPlanes(clear), clear).data[3], 7);
});

test("values are rounded and kept to 0 .. 255", () => {
  const like = picture(1, 1, 0, 0, 0, 255);
  assert.deepEqual([...toPixels(Float32Array.of(-0.5, 1.5, 0.5019), like).data], [0, 255, 128, 255]);
});

test("a network that makes another size is refused", () => {
  assert.throws(() => toPixels(new Float32Array(6), picture(1, 1, 0, 0, 0, 255)), /made 6 values, not 3/);
});
