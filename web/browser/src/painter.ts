/** The page's side of the worker: requests go out, promises are kept in order. */

import type { Answer, Answers, Request } from "./messages";
import { OutOfMemory, Problem, Stopped } from "./problem";

/** The worker may be silent for so long while something is asked of it, milliseconds: more than any picture takes. */
const PATIENCE = 180_000;

interface Waiting {
  readonly resolve: (value: never) => void;
  readonly reject: (problem: Problem) => void;
}

/** The network in its worker. After `OutOfMemory` or `Stopped` a new one is needed. */
export class Painter {
  readonly #worker = new Worker("worker.js", { type: "module" });
  readonly #waiting: Waiting[] = [];
  #stopped: Stopped | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;

  /** `progress` is told the bytes that are loaded, and of how many. */
  constructor(
    progress: (loaded: number, total: number) => void,
    private readonly patience: number = PATIENCE,
  ) {
    this.#worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      if (data.kind === "progress") {
        this.#listen();
        progress(data.loaded, data.total);
        return;
      }
      const waiting = this.#waiting.shift();
      this.#listen();
      if (data.kind === "done") waiting?.resolve(data.value as never);
      else waiting?.reject(data.outOfMemory ? new OutOfMemory(data.message) : new Problem(data.message));
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#stop("has stopped");
    };
    this.#worker.onmessageerror = () => this.#stop("has said what cannot be read");
  }

  /** Throws a `Problem`: `Stopped` where the worker works no more. */
  send<Kind extends Request["kind"]>(request: Extract<Request, { kind: Kind }>): Promise<Answers[Kind]> {
    if (this.#stopped !== undefined) return Promise.reject(this.#stopped);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#listen();
      this.#worker.postMessage(request, "pixels" in request ? [request.pixels.data.buffer] : []);
    });
  }

  close(): void {
    clearTimeout(this.#silence);
    this.#worker.terminate();
  }

  /** Waits anew for a sign of the worker, if something is asked of it. */
  #listen(): void {
    clearTimeout(this.#silence);
    if (this.#waiting.length === 0) return;
    this.#silence = setTimeout(() => this.#stop(`has said nothing for ${this.patience / 1000} seconds`), this.patience);
  }

  #stop(how: string): void {
    this.close();
    this.#stopped = new Stopped(
      `The part of the page that paints ${how}: try again, with a smaller size, or load the page again.`,
    );
    for (const waiting of this.#waiting.splice(0)) waiting.reject(this.#stopped);
  }
}
