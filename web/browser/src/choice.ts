/** A place of the page for one picture: a file, dropped, pasted, or by the camera. */

import { takePicture } from "./camera";
import { element } from "./elements";
import { type Chosen, readPicture } from "./pictures";
import { problemOf } from "./problem";

/** What a choice tells the page. */
interface Told {
  readonly chosen: () => void;
  readonly failed: (message: string) => void;
}

export class Choice {
  #picture: Chosen | undefined;
  #asked = 0;
  readonly #place: HTMLElement;
  readonly #preview: HTMLCanvasElement;
  readonly #told: Told;

  /** `name` is the id of the place in the page, and what a picture without a file is called. */
  constructor(
    readonly name: string,
    told: Told,
  ) {
    this.#told = told;
    this.#place = element(name, HTMLElement);
    this.#preview = element(`${name}-preview`, HTMLCanvasElement);
    const input = element(`${name}-file`, HTMLInputElement);
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      input.value = ""; // so that the same file can be chosen again
      if (file !== undefined) this.takeFile(file);
    });
    element(`${name}-camera`, HTMLButtonElement).addEventListener("click", () => {
      void this.take(() => takePicture(name));
    });
    this.#place.addEventListener("dragover", () => this.#place.classList.add("dragged"));
    for (const end of ["dragleave", "drop"]) {
      this.#place.addEventListener(end, () => this.#place.classList.remove("dragged"));
    }
  }

  get picture(): Chosen | undefined {
    return this.#picture;
  }

  /** Whether an element, such as the one that has the focus, is in this place. */
  holds(other: EventTarget | null): boolean {
    return other instanceof Node && this.#place.contains(other);
  }

  takeFile(file: File): void {
    void this.take(() => readPicture(file, file.name));
  }

  /** Takes what `read` gives, unless another picture was asked for meanwhile. */
  async take(read: () => Promise<Chosen | undefined>): Promise<void> {
    const asked = ++this.#asked;
    try {
      const picture = await read();
      if (asked !== this.#asked || picture === undefined) return;
      this.#picture = picture;
      this.#showPreview(picture);
      this.#told.chosen();
    } catch (failure) {
      if (asked === this.#asked) this.#told.failed(problemOf(failure).message);
    }
  }

  #showPreview({ canvas, name }: Chosen): void {
    this.#preview.width = canvas.width;
    this.#preview.height = canvas.height;
    this.#preview.getContext("2d")?.drawImage(canvas, 0, 0);
    this.#preview.setAttribute("aria-label", `The ${this.name}: ${name}`);
    this.#place.classList.add("filled");
  }
}

/** Sends pictures that are dropped on the page, or pasted, to a choice. */
export function receive(choices: readonly Choice[], failed: (message: string) => void): void {
  const fitting = (target: EventTarget | null): Choice =>
    choices.find((choice) => choice.holds(target)) ??
    choices.find((choice) => choice.picture === undefined) ??
    choices[0]!;
  const take = (files: FileList | undefined, target: EventTarget | null): void => {
    const file = files?.[0];
    if (file === undefined) failed("There was no picture file in this: save the picture first, and choose its file.");
    else fitting(target).takeFile(file);
  };
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer?.files, event.target);
  });
  document.addEventListener("paste", (event) => take(event.clipboardData?.files, document.activeElement));
}
