import assert from "node:assert/strict";
import { test } from "node:test";
import { OutOfMemory, Problem, problemOf } from "../src/problem";

test("a problem stays as it is", () => {
  const problem = new Problem("This is so.");
  assert.equal(problemOf(problem), problem);
});

for (const failure of [
  new RangeError("Array buffer allocation failed"),
  new Error("std::bad_alloc"),
  new Error("Failed to allocate a buffer of 1073741824 bytes"),
  new Error("SafeIntOnOverflow() Integer overflow"),
  5263048,
  "WebAssembly.Memory.grow(): out of memory",
]) {
  test(`want of memory is known: ${String(failure)}`, () => {
    assert.ok(problemOf(failure) instanceof OutOfMemory);
  });
}

test("another failure is told by its first line", () => {
  const problem = problemOf(new Error("no kernel\n  at somewhere"));
  assert.ok(!(problem instanceof OutOfMemory));
  assert.equal(problem.message, "Something went wrong: no kernel");
});
