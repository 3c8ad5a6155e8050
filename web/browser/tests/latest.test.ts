import assert from "node:assert/strict";
import { test } from "node:test";
import { Latest } from "../src/latest";

/** Work that ends when it is told to. */
function workshop(): { latest: Latest<number>; begun: number[]; end: () => Promise<void> } {
  const begun: number[] = [];
  const ends: (() => void)[] = [];
  const latest = new Latest<number>((order) => {
    begun.push(order);
    return new Promise((resolve) => ends.push(resolve));
  });
  return {
    latest,
    begun,
    end: async () => {
      ends.shift()!();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

test("the first order begins at once", () => {
  const { latest, begun } = workshop();
  latest.ask(1);
  assert.deepEqual(begun, [1]);
});

test("of the orders during work the last one is done, and no other", async () => {
  const { latest, begun, end } = workshop();
  for (let order = 1; order <= 50; order++) latest.ask(order);
  assert.deepEqual(begun, [1]);
  await end();
  assert.deepEqual(begun, [1, 50]);
  await end();
  assert.deepEqual(begun, [1, 50]);
});

test("after a pause work begins anew", async () => {
  const { latest, begun, end } = workshop();
  latest.ask(1);
  await end();
  latest.ask(2);
  assert.deepEqual(begun, [1, 2]);
});
