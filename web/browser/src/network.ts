/** The two networks of the model, run by ONNX Runtime: one reads a painting, the other paints. */

import type { InferenceSession, Tensor } from "onnxruntime-web/wasm";
import type { Machine, Runtime } from "./messages";
import { checkModel, checkNetwork, type Needed, PAINTER, PAINTING, type Port } from "./model";
import { type Pixels, toPixels, toPlanes } from "./pixels";
import { OutOfMemory, Problem, problemOf } from "./problem";

type ONNXRuntime = typeof import("onnxruntime-web/wasm");
type Progress = (loaded: number, total: number) => void;
/** Contents of files by their paths beside the page. */
type Files = Map<string, Uint8Array>;

/** Bytes of each large file, uncompressed, by its path beside the page; the build writes it. */
declare const BUILT_SIZES: Readonly<Record<string, number>>;

/** More threads than this gain little, and take the cores that the page itself needs. */
const MOST_THREADS = 8;

/** The side of the picture that a graphics processor is tried with, pixels. */
const TRIAL = 64;

const WASM = "ort/ort-wasm-simd-threaded";

/** ONNX Runtime begins so where it cannot start itself. */
const NO_RUNTIME = "no available backend found";

export class Network {
  #style: Tensor | undefined;
  #photograph: { readonly pixels: Pixels; readonly tensor: Tensor } | undefined;

  private constructor(
    private readonly ort: ONNXRuntime,
    private readonly reader: InferenceSession,
    private readonly painter: InferenceSession,
    readonly machine: Machine,
  ) {}

  /**
   * The networks, ready to run.
   *
   * `runtime` undefined takes WebGPU where there is a graphics processor that can, and WebAssembly otherwise.
   * Throws a `Problem` where a file is missing or does not fit.
   */
  static async load(runtime: Runtime | undefined, progress: Progress): Promise<Network> {
    const said: unknown = await (await fetched("model/model.json")).json().catch(() => undefined);
    const K = checkModel(said);
    const model: Files = new Map();
    if (runtime === "webgpu" || (runtime === undefined && (await hasGraphics()))) {
      try {
        return await Network.#start("webgpu", K, model, progress);
      } catch (failure) {
        if (runtime === "webgpu" || failure instanceof Problem) throw failure;
      }
    }
    return Network.#start("wasm", K, model, progress);
  }

  /** `model` keeps the model's files, so that a second start does not load them again. */
  static async #start(runtime: Runtime, K: number, model: Files, progress: Progress): Promise<Network> {
    const binary = runtimeFile(runtime);
    const mjs = binary.replace(".wasm", ".mjs");
    await imported(mjs);
    const files = await loaded([binary, ...[PAINTING, PAINTER].map(modelFile)], model, progress);
    for (const path of [PAINTING, PAINTER].map(modelFile)) model.set(path, files.get(path)!);
    const ort: ONNXRuntime =
      runtime === "webgpu" ? await import("onnxruntime-web/jspi") : await import("onnxruntime-web/wasm");
    const threads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
    ort.env.logLevel = "error";
    ort.env.wasm.numThreads = threads;
    ort.env.wasm.wasmBinary = files.get(binary)!;
    ort.env.wasm.wasmPaths = { mjs: beside(mjs) };
    const options: InferenceSession.SessionOptions = { executionProviders: [runtime], logSeverityLevel: 3 };
    const sessions: InferenceSession[] = [];
    try {
      for (const needed of [PAINTING, PAINTER]) {
        const bytes = files.get(modelFile(needed))!;
        const session = await ort.InferenceSession.create(bytes, options).catch((failure: unknown) => {
          throw runtime === "webgpu" ? failure : unusable(needed.file, binary, failure);
        });
        sessions.push(session);
        checkNetwork(needed, K, session.inputMetadata.map(port), session.outputMetadata.map(port));
      }
      const network = new Network(ort, sessions[0]!, sessions[1]!, { runtime, threads });
      if (runtime === "webgpu") await network.#try();
      return network;
    } catch (failure) {
      for (const session of sessions) await session.release().catch(() => undefined);
      throw failure;
    } finally {
      delete ort.env.wasm.wasmBinary; // it is compiled: the bytes are not needed any more
    }
  }

  /** Paints a small picture: whether a graphics processor can do all that the networks need shows only then. */
  async #try(): Promise<void> {
    const pixels = (): Pixels => ({ data: new Uint8ClampedArray(4 * TRIAL ** 2), width: TRIAL, height: TRIAL });
    await this.readPainting(pixels());
    this.setPhotograph(pixels());
    await this.paint(1);
  }

  async readPainting(pixels: Pixels): Promise<undefined> {
    this.#style?.dispose();
    this.#style = undefined;
    const painting = this.#tensor(pixels);
    try {
      const { style } = await this.reader.run({ painting });
      this.#style = style!;
    } finally {
      painting.dispose();
    }
  }

  setPhotograph(pixels: Pixels): undefined {
    this.#photograph?.tensor.dispose();
    this.#photograph = { pixels, tensor: this.#tensor(pixels) };
  }

  /** The photograph in the painting's style, of the photograph's size. `strength` is in [0, 1]. */
  async paint(strength: number): Promise<Pixels> {
    if (this.#style === undefined || this.#photograph === undefined) {
      throw new Problem("A photograph and a painting are needed.");
    }
    const { pixels, tensor: photograph } = this.#photograph;
    const wanted = new this.ort.Tensor("float32", Float32Array.of(strength), [1]);
    const { picture } = await this.painter.run({ photograph, style: this.#style, strength: wanted });
    try {
      return toPixels((await picture!.getData()) as Float32Array, pixels);
    } finally {
      picture!.dispose();
      wanted.dispose();
    }
  }

  #tensor(pixels: Pixels): Tensor {
    return new this.ort.Tensor("float32", toPlanes(pixels), [1, 3, pixels.height, pixels.width]);
  }
}

/** WebGPU's runtime needs JavaScript Promise Integration, too: the build that does without is twice as large. */
async function hasGraphics(): Promise<boolean> {
  if (!("Suspending" in WebAssembly) || !("gpu" in navigator)) return false;
  const gpu = navigator.gpu as { requestAdapter(): Promise<{ info?: { isFallbackAdapter?: boolean } } | null> };
  const adapter = await gpu.requestAdapter().catch(() => null);
  return adapter !== null && adapter.info?.isFallbackAdapter !== true;
}

function modelFile({ file }: Needed): string {
  return `model/${file}`;
}

function port(value: InferenceSession.ValueMetadata): Port {
  return { name: value.name, shape: value.isTensor ? value.shape : [] };
}

/** The address of a file beside the page. */
function beside(path: string): string {
  return new URL(path, location.href).href;
}

function runtimeFile(runtime: Runtime): string {
  return `${WASM}${runtime === "webgpu" ? ".jspi" : ""}.wasm`;
}

async function fetched(path: string): Promise<Response> {
  const response = await fetch(path).catch(() => undefined);
  if (response === undefined) throw new Problem(`${path} could not be loaded: is the server there?`);
  if (!response.ok) throw new Problem(`${path} is missing beside the page (${response.status}): build the page again.`);
  return response;
}

/** Runs a part of the runtime, which ONNX Runtime then finds there. */
async function imported(path: string): Promise<void> {
  await import(beside(path)).catch(() => {
    throw new Problem(`${path} could not be loaded: build the page again, or look whether the server is there.`);
  });
}

/** The contents of files by their paths; `progress` is told the bytes of all that are not in `have` already. */
async function loaded(wanted: readonly string[], have: Files, progress: Progress): Promise<Files> {
  const paths = wanted.filter((path) => !have.has(path));
  const total = paths.reduce((sum, path) => sum + (BUILT_SIZES[path] ?? 0), 0);
  let bytes = 0;
  const read = async (path: string): Promise<[string, Uint8Array]> => {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    const reader = (await fetched(path)).body!.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return [path, new Uint8Array(await new Blob(parts).arrayBuffer())];
      parts.push(value);
      bytes += value.length;
      progress(bytes, total);
    }
  };
  return new Map([...have, ...(await Promise.all(paths.map(read)))]);
}

/** Why ONNX Runtime does not take a network: the network is damaged, or the runtime itself, or the browser too old. */
function unusable(network: string, runtime: string, failure: unknown): Problem {
  const problem = problemOf(failure);
  if (problem instanceof OutOfMemory) return problem;
  const file = failure instanceof Error && failure.message.startsWith(NO_RUNTIME) ? runtime : network;
  return new Problem(`${file} could not be used: it is damaged, or this browser is too old (${problem.message})`);
}
