/** The two networks of the model, run by ONNX Runtime: one reads a painting, the other paints. */

import type { InferenceSession, Tensor } from "onnxruntime-web/wasm";
import type { Machine, Runtime } from "./messages";
import { checkModel, checkNetwork, PAINTER, PAINTING } from "./model";
import { type Pixels, toPixels, toPlanes } from "./pixels";
import { OutOfMemory, Problem, problemOf } from "./problem";

type ONNXRuntime = typeof import("onnxruntime-web/wasm");
type Progress = (loaded: number, total: number) => void;

/** Bytes of each large file, uncompressed, by its path beside the page; the build writes it. */
declare const BUILT_SIZES: Readonly<Record<string, number>>;

/** More threads than this gain little, and take the cores that the page itself needs. */
const MOST_THREADS = 8;

/** The side of the picture that a graphics processor is tried with, pixels. */
const TRIAL = 64;

const WASM = "ort/ort-wasm-simd-threaded";

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
    checkModel(said);
    if (runtime === "webgpu" || (runtime === undefined && (await hasGraphics()))) {
      try {
        return await Network.#start("webgpu", progress);
      } catch (failure) {
        if (runtime === "webgpu" || failure instanceof Problem) throw failure;
      }
    }
    return Network.#start("wasm", progress);
  }

  static async #start(runtime: Runtime, progress: Progress): Promise<Network> {
    const files = [runtimeFile(runtime), `model/${PAINTING.file}`, `model/${PAINTER.file}`] as const;
    const [binary, reading, painting] = await loaded(files, progress);
    const ort: ONNXRuntime =
      runtime === "webgpu" ? await import("onnxruntime-web/jspi") : await import("onnxruntime-web/wasm");
    const threads = self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
    ort.env.logLevel = "error";
    ort.env.wasm.numThreads = threads;
    ort.env.wasm.wasmBinary = binary;
    ort.env.wasm.wasmPaths = { mjs: new URL(runtimeFile(runtime).replace(".wasm", ".mjs"), location.href).href };
    const options: InferenceSession.SessionOptions = { executionProviders: [runtime], logSeverityLevel: 3 };
    const sessions: InferenceSession[] = [];
    try {
      for (const [needed, bytes] of [[PAINTING, reading], [PAINTER, painting]] as const) {
        const session = await ort.InferenceSession.create(bytes, options).catch((failure: unknown) => {
          throw runtime === "webgpu" ? failure : unusable(needed.file, failure);
        });
        sessions.push(session);
        checkNetwork(needed, session.inputNames, session.outputNames);
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

function runtimeFile(runtime: Runtime): string {
  return `${WASM}${runtime === "webgpu" ? ".jspi" : ""}.wasm`;
}

async function fetched(path: string): Promise<Response> {
  const response = await fetch(path).catch(() => undefined);
  if (response === undefined) throw new Problem(`${path} could not be loaded: is the server there?`);
  if (!response.ok) throw new Problem(`${path} is missing beside the page (${response.status}): build the page again.`);
  return response;
}

/** The contents of files; `progress` is told the bytes of all of them together. */
async function loaded<Paths extends readonly string[]>(
  paths: Paths,
  progress: Progress,
): Promise<{ [Place in keyof Paths]: Uint8Array }> {
  const total = paths.reduce((sum, path) => sum + (BUILT_SIZES[path] ?? 0), 0);
  let bytes = 0;
  const read = async (path: string): Promise<Uint8Array> => {
    const parts: Uint8Array<ArrayBuffer>[] = [];
    const reader = (await fetched(path)).body!.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return new Uint8Array(await new Blob(parts).arrayBuffer());
      parts.push(value);
      bytes += value.length;
      progress(bytes, total);
    }
  };
  return (await Promise.all(paths.map(read))) as { [Place in keyof Paths]: Uint8Array };
}

/** A network that ONNX Runtime does not take: damaged, or WebAssembly too old. */
function unusable(file: string, failure: unknown): Problem {
  const problem = problemOf(failure);
  if (problem instanceof OutOfMemory) return problem;
  return new Problem(`${file} could not be used: it is damaged, or this browser is too old (${problem.message})`);
}
