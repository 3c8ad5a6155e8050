/** The page's side of the worker: requests go out, promises are kept in order. */

import type { Answer, Answers, Request } from "./messages";
import { OutOfMemory, Problem } from "./problem";

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (problem: Problem) => void;
}

/** The network in its worker. After `OutOfMemory`, or when the worker has died, a new one is needed. */
export class Painter {
  readonly #worker = new Worker("worker.js", { type: "module" });
  readonly #waiting: Waiting[] = [];

  /** `progress` is told the bytes that are loaded, and of how many. */
  constructor(progress: (loaded: number, total: number) => void) {
    this.#worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      if (data.kind === "progress") {
        progress(data.loaded, data.total);
        return;
      }
      const waiting = this.#waiting.shift();
      if (data.kind === "done") waiting?.resolve(data.value as never);
      else waiting?.reject(data.outOfMemory ? new OutOfMemory(data.message) : new Problem(data.message));
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      const problem = new Problem("The part of the page that paints could not start: load the page again.");
      for (const waiting of this.#waiting.splice(0)) waiting.reject(problem);
    };
  }

  send<Kind extends Request["kind"]>(request: Extract<Request, { kind: Kind }>): Promise<Answers[Kind]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(request, "pixels" in request ? [request.pixels.data.buffer] : []);
    });
  }

  close(): void {
    this.#worker.terminate();
  }
}
