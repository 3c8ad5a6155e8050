/** What was asked for becomes a picture: the worker is told what it does not know yet, and no more. */

import type { Machine, Painted, Runtime } from "./messages";
import { Painter } from "./painter";
import { type Chosen, pixelsOf } from "./pictures";
import type { Pixels } from "./pixels";
import { OutOfMemory, Stopped } from "./problem";

/** All that decides on a picture. */
export interface Order {
  readonly photograph: Chosen;
  readonly painting: Chosen;
  /** The longer side of the result, pixels; a smaller photograph is not enlarged. */
  readonly size: number;
  /** In [0, 1]: 0 is the photograph, 1 is style alone. */
  readonly strength: number;
}

/** A result, and what made it. */
export interface Made extends Painted {
  readonly machine: Machine;
}

/** Is told what is happening, in words. */
type Progress = (text: string) => void;

export class Studio {
  #painter: Painter | undefined;
  #machine: Promise<Machine> | undefined;
  #photograph: { readonly of: Chosen; readonly size: number; readonly longer: number } | undefined;
  #painting: { readonly of: Chosen; readonly longer: number } | undefined;

  constructor(
    private readonly runtime: Runtime | undefined,
    private readonly progress: Progress,
  ) {}

  /** Loads the network, once. */
  load(): Promise<Machine> {
    this.#machine ??= this.#start().catch((failure: unknown) => {
      this.#forget(); // so that the next picture tries again
      throw failure;
    });
    return this.#machine;
  }

  /** Paints. Throws a `Problem`; after one of memory, or of a worker that has stopped, the worker is a new one. */
  async paint(order: Order): Promise<Made> {
    try {
      const machine = await this.load();
      const longer = await this.#readPhotograph(order);
      await this.#readPainting(order, longer);
      this.progress("Painting …");
      return { ...(await this.#painter!.send({ kind: "paint", strength: order.strength })), machine };
    } catch (failure) {
      if (failure instanceof OutOfMemory || failure instanceof Stopped) this.#forget();
      throw failure;
    }
  }

  async #readPhotograph({ photograph, size }: Order): Promise<number> {
    if (this.#photograph?.of !== photograph || this.#photograph.size !== size) {
      const pixels = pixelsOf(photograph.canvas, size);
      this.#photograph = undefined;
      const longer = longerSide(pixels);
      await this.#painter!.send({ kind: "photograph", pixels });
      this.#photograph = { of: photograph, size, longer };
    }
    return this.#photograph.longer;
  }

  async #readPainting({ painting }: Order, longer: number): Promise<void> {
    if (this.#painting?.of === painting && this.#painting.longer === longer) return;
    this.progress("Reading the painting …");
    this.#painting = undefined;
    await this.#painter!.send({ kind: "painting", pixels: pixelsOf(painting.canvas, longer, true) });
    this.#painting = { of: painting, longer };
  }

  async #start(): Promise<Machine> {
    this.#painter = new Painter((bytes, total) => {
      this.progress(`Loading the network: ${megabytes(bytes)} of ${megabytes(total)} MB …`);
    });
    return this.#painter.send({ kind: "load", runtime: this.runtime });
  }

  #forget(): void {
    this.#painter?.close();
    this.#painter = this.#machine = this.#photograph = this.#painting = undefined;
  }
}

function longerSide(pixels: Pixels): number {
  return Math.max(pixels.width, pixels.height);
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
