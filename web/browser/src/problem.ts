/** What can go wrong, told in one sentence. */

/** A failure that a person understands; its message is shown as it is. */
export class Problem extends Error {
  override readonly name = "Problem";
}

/** A failure for want of memory. */
export class OutOfMemory extends Problem {}

/** The worker works no more: a new one is needed. */
export class Stopped extends Problem {}

/** The `Problem` of a failure: itself, or a sentence about it. */
export function problemOf(failure: unknown): Problem {
  if (failure instanceof Problem) return failure;
  const reason = failure instanceof Error ? failure.message : String(failure);
  // ONNX Runtime lets some exceptions of C++ through as bare numbers: those of a full memory are among them
  if (failure instanceof RangeError || typeof failure === "number" || /memory|alloc|integer overflow/i.test(reason)) {
    return new OutOfMemory("The memory is not enough for this size: choose a smaller one, or close other pages.");
  }
  return new Problem(`Something went wrong: ${reason.split("\n", 1)[0]}`);
}
