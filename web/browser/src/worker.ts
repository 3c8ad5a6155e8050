/** The worker: it holds the network, so that the page never waits for it. */

import { Network } from "./network";
import type { Answer, Answers, Request } from "./messages";
import { OutOfMemory, Problem, problemOf } from "./problem";

let network: Network | undefined;
let last: Promise<void> = Promise.resolve();

function say(answer: Answer, transfer: Transferable[] = []): void {
  postMessage(answer, { transfer });
}

async function answer(request: Request): Promise<Answers[keyof Answers]> {
  if (request.kind === "load") {
    network = await Network.load(request.runtime, (loaded, total) => say({ kind: "progress", loaded, total }));
    return network.machine;
  }
  if (network === undefined) throw new Problem("The network is not loaded.");
  switch (request.kind) {
    case "painting":
      return network.readPainting(request.pixels);
    case "photograph":
      return network.setPhotograph(request.pixels);
    case "paint": {
      const began = performance.now();
      const pixels = await network.paint(request.strength);
      return { pixels, milliseconds: performance.now() - began };
    }
  }
}

async function serve(request: Request): Promise<void> {
  try {
    const value = await answer(request);
    say({ kind: "done", value }, value !== undefined && "pixels" in value ? [value.pixels.data.buffer] : []);
  } catch (failure) {
    const problem = problemOf(failure);
    say({ kind: "failed", message: problem.message, outOfMemory: problem instanceof OutOfMemory });
  }
}

onmessage = ({ data }: MessageEvent<Request>) => {
  last = last.then(() => serve(data));
};
