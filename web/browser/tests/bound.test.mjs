import assert from "node:assert/strict";
import { test } from "node:test";
import { weighed } from "../bound.mjs";

test("at brotli's best a visit may load 8 MB, and no more", () => {
  assert.equal(weighed("WebGPU", 8_000_000, 11).tooMuch, false);
  const { tooMuch, sentence } = weighed("WebGPU", 8_000_001, 11);
  assert.equal(tooMuch, true);
  assert.match(sentence, /^A visit by WebGPU loads 8000001 bytes .* brotli 11: 8000000 is the most. Nothing was built.$/);
});

test("at less, what it weighs is said, and nothing is refused", () => {
  for (const quality of [0, 1, 10]) {
    const { tooMuch, sentence } = weighed("WebGPU", 8_170_302, quality);
    assert.equal(tooMuch, false);
    assert.match(sentence, new RegExp(`loads 8170302 bytes compressed by brotli ${quality}: more than 8000000`));
  }
});
