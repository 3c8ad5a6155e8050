/** What page and workers say to each other. Each request is answered once, and in order. */

import type { Pixels } from "./pixels";

/** What computes: WebAssembly on the processor, or WebGPU. */
export type Runtime = "wasm" | "webgpu";

export type Request =
  | { readonly kind: "load"; readonly runtime: Runtime | undefined }
  | { readonly kind: "painting"; readonly pixels: Pixels }
  | { readonly kind: "photograph"; readonly pixels: Pixels }
  | { readonly kind: "paint"; readonly strength: number };

/** What computes, and with how many threads. */
export interface Machine {
  readonly runtime: Runtime;
  readonly threads: number;
}

/** A picture, and how long the network took, milliseconds. */
export interface Painted {
  readonly pixels: Pixels;
  readonly milliseconds: number;
}

/** What each kind of request is answered with. */
export interface Answers {
  load: Machine;
  painting: undefined;
  photograph: undefined;
  paint: Painted;
}

export type Answer =
  | { readonly kind: "progress"; readonly loaded: number; readonly total: number }
  | { readonly kind: "done"; readonly value: Answers[keyof Answers] }
  | { readonly kind: "failed"; readonly message: string; readonly outOfMemory: boolean };

/** To a service worker of a new version that waits: it is to take over. */
export const ACTIVATE = "activate";
