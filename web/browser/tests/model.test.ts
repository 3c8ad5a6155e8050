import assert from "node:assert/strict";
import { test } from "node:test";
import { checkModel, checkNetwork, PAINTER, PAINTING } from "../src/model";
import { Problem } from "../src/problem";

test("a model of this format and version is taken, whatever else it says", () => {
  checkModel({ format: "artune-onnx", version: 1, K: 6, later: [] });
});

for (const [said, sentence] of [
  [undefined, /format is missing, but this page needs "artune-onnx"/],
  [null, /format is missing/],
  ["artune-onnx", /format is missing/],
  [{ format: "other", version: 1 }, /format is "other"/],
  [{ format: "artune-onnx" }, /version missing, but this page needs version 1/],
  [{ format: "artune-onnx", version: 2 }, /version 2, but this page needs version 1/],
  [{ format: "artune-onnx", version: "1" }, /version "1"/],
] as const) {
  test(`refused: ${JSON.stringify(said)}`, () => {
    assert.throws(() => checkModel(said), (failure) => failure instanceof Problem && sentence.test(failure.message));
  });
}

test("networks have the inputs and the output of the format, in any order", () => {
  checkNetwork(PAINTING, ["painting"], ["style"]);
  checkNetwork(PAINTER, ["strength", "photograph", "style"], ["picture"]);
});

test("a network without one of them is refused, by name", () => {
  assert.throws(() => checkNetwork(PAINTER, ["photograph"], ["out"]), {
    name: "Problem",
    message: 'The model does not fit this page: painter.onnx has no "style", "strength", "picture".',
  });
});
