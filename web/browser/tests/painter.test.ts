import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import type { Answer } from "../src/messages";
import { Painter } from "../src/painter";
import { Problem, Stopped } from "../src/problem";

/** A worker that says what the test lets it say. */
class Puppet {
  onmessage: ((event: { data: Answer }) => void) | undefined;
  onerror: ((event: { preventDefault: () => void }) => void) | undefined;
  onmessageerror: (() => void) | undefined;
  ended = false;
  constructor() {
    puppet = this;
  }
  postMessage(): void {}
  terminate(): void {
    this.ended = true;
  }
}

let puppet: Puppet;
beforeEach(() => Object.assign(globalThis, { Worker: Puppet }));

const PAINT = { kind: "paint", strength: 1 } as const;
const stopped = (how: RegExp) => (failure: unknown) => failure instanceof Stopped && how.test(failure.message);

test("answers come in order", async () => {
  const painter = new Painter(() => undefined);
  const [first, second] = [painter.send(PAINT), painter.send(PAINT)];
  puppet.onmessage!({ data: { kind: "failed", message: "This is so.", outOfMemory: false } });
  puppet.onmessage!({ data: { kind: "done", value: undefined } });
  await assert.rejects(first, (failure) => failure instanceof Problem && failure.message === "This is so.");
  assert.equal(await second, undefined);
  painter.close();
});

for (const [how, fail] of [
  ["has stopped", (): void => puppet.onerror!({ preventDefault: () => undefined })],
  ["has said what cannot be read", (): void => puppet.onmessageerror!()],
] as const) {
  test(`a worker that ${how} fails what waits and what comes after`, async () => {
    const painter = new Painter(() => undefined);
    const waiting = painter.send(PAINT);
    fail();
    await assert.rejects(waiting, stopped(new RegExp(how)));
    await assert.rejects(painter.send(PAINT), stopped(new RegExp(how)));
    assert.ok(puppet.ended);
  });
}

test("a worker that is silent is given up, but not one that goes on loading", async () => {
  const seen: number[] = [];
  const painter = new Painter((loaded) => seen.push(loaded), 50);
  const waiting = painter.send({ kind: "load", runtime: undefined });
  let over = false;
  waiting.catch(() => (over = true));
  for (let loaded = 1; loaded <= 5; loaded++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    puppet.onmessage!({ data: { kind: "progress", loaded, total: 9 } });
  }
  assert.deepEqual([seen, over], [[1, 2, 3, 4, 5], false]);
  await assert.rejects(waiting, stopped(/has said nothing for 0.05 seconds/));
  assert.ok(puppet.ended);
});
