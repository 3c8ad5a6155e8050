import assert from "node:assert/strict";
import { test } from "node:test";
import { checkModel, checkNetwork, PAINTER, PAINTING } from "../src/model";
import { Problem } from "../src/problem";

const GOOD = { format: "artune-onnx", version: 1, kind: "painter", K: 6 };

test("a painter of this format and version is taken, whatever else it says", () => {
  assert.equal(checkModel({ ...GOOD, later: [] }), 6);
});

for (const [said, sentence] of [
  [undefined, /format is missing, but this page needs "artune-onnx"/],
  [null, /format is missing/],
  ["artune-onnx", /format is missing/],
  [{ ...GOOD, format: "other" }, /format is "other"/],
  [{ ...GOOD, version: undefined }, /version missing, but this page needs version 1/],
  [{ ...GOOD, version: 2 }, /version 2, but this page needs version 1/],
  [{ ...GOOD, version: "1" }, /version "1"/],
  [{ ...GOOD, kind: "trained" }, /kind "trained", but this page needs "painter": build .* `artune export painter`/],
  [{ ...GOOD, kind: undefined }, /kind missing/],
  [{ ...GOOD, K: undefined }, /K is missing/],
  [{ ...GOOD, K: "6" }, /K is "6"/],
  [{ ...GOOD, K: 1.5 }, /K is 1.5/],
] as const) {
  test(`refused: ${JSON.stringify(said)}`, () => {
    assert.throws(() => checkModel(said), (failure) => failure instanceof Problem && sentence.test(failure.message));
  });
}

const port = (name: string, ...shape: (number | string)[]) => ({ name, shape });
const image = (name: string) => port(name, 1, 3, "height", "width");

test("networks have the inputs and outputs of the format, in any order", () => {
  checkNetwork(PAINTING, 6, [image("painting")], [port("style", 1, 6)]);
  checkNetwork(PAINTER, 6, [port("strength", 1), image("photograph"), port("style", 1, "k")], [image("picture")]);
});

for (const [what, inputs, outputs, sentence] of [
  ["other names", [image("content")], [port("style", 1, 6)], '"painting" is missing'],
  ["the painting of another painter", [image("painting")], [port("style", 1, 8)], '"style" has the shape [1, 8], not [1, 6]'],
  ["one size", [port("painting", 1, 3, 64, 64)], [port("style", 1, 6)], '"painting" has the shape [1, 3, 64, 64], not [1, 3, any, any]'],
  ["no batch", [port("painting", 3, "h", "w")], [], '"painting" has the shape [3, h, w], not [1, 3, any, any], and "style" is missing'],
] as const) {
  test(`a network with ${what} is refused, by name`, () => {
    assert.throws(() => checkNetwork(PAINTING, 6, inputs, outputs), {
      name: "Problem",
      message: `The model does not fit this page: in painting.onnx, ${sentence}.`,
    });
  });
}
