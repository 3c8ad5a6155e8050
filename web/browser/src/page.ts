/** The page: what a person does with it, and what it shows. */

import { Choice, receive } from "./choice";
import { element, elements } from "./elements";
import { Latest } from "./latest";
import { serveOffline } from "./offline";
import { encoded, FORMATS, pixelsOf, readPicture, save, show } from "./pictures";
import { Problem, problemOf } from "./problem";
import { type Made, type Order, Studio } from "./studio";

const status = element("status", HTMLElement);
const problem = element("problem", HTMLElement);
const stage = element("stage", HTMLElement);
const result = element("result", HTMLCanvasElement);
const before = element("before", HTMLCanvasElement);
const strength = element("strength", HTMLInputElement);
const strengthShown = element("strength-shown", HTMLOutputElement);
const compare = element("compare", HTMLButtonElement);
const saves = elements("button[data-format]", HTMLButtonElement);

const runtime = new URLSearchParams(location.search).get("runtime");
const studio = new Studio(runtime === "wasm" || runtime === "webgpu" ? runtime : undefined, say);
const painting = new Latest<Order>(paint);
let shown: Order | undefined;
let pictures = 0;

const choices = {
  photograph: new Choice("photograph", { chosen: ask, failed: complain }),
  painting: new Choice("painting", { chosen: ask, failed: complain }),
};

function say(text: string): void {
  status.textContent = text;
}

function complain(message: string): void {
  problem.textContent = message;
  problem.hidden = false;
}

/** Asks for the picture of what is chosen now. */
function ask(): void {
  problem.hidden = true;
  const [photograph, painted] = [choices.photograph.picture, choices.painting.picture];
  if (photograph === undefined || painted === undefined) {
    const missing = [...(photograph ? [] : ["a photograph"]), ...(painted ? [] : ["a painting"])];
    say(`Choose ${missing.join(" and ")}.`);
    return;
  }
  const size = Number(elements("input[name=size]:checked", HTMLInputElement)[0]?.value);
  painting.ask({ photograph, painting: painted, size, strength: strength.valueAsNumber / 100 });
}

async function paint(order: Order): Promise<void> {
  stage.setAttribute("aria-busy", "true");
  try {
    const made = await studio.paint(order);
    if (order.photograph !== shown?.photograph || order.size !== shown.size) {
      show(pixelsOf(order.photograph.canvas, order.size), before);
    }
    show(made.pixels, result);
    shown = order;
    Object.assign(result.dataset, { pictures: ++pictures, milliseconds: made.milliseconds }); // for tests and measures
    for (const control of [compare, ...saves]) control.disabled = false;
    stage.classList.add("filled");
    say(told(made));
  } catch (failure) {
    complain(problemOf(failure).message);
    say("No picture was made.");
  } finally {
    stage.setAttribute("aria-busy", "false");
  }
}

function told({ pixels, milliseconds, machine }: Made): string {
  const threads = machine.threads === 1 ? "one thread" : `${machine.threads} threads`;
  const by = machine.runtime === "webgpu" ? "the graphics processor" : threads;
  return `${pixels.width} × ${pixels.height} pixels, painted in ${(milliseconds / 1000).toFixed(2)} s by ${by}.`;
}

function comparing(yes: boolean): void {
  stage.classList.toggle("comparing", yes);
  compare.setAttribute("aria-pressed", String(yes));
}

function connect(): void {
  receive([choices.photograph, choices.painting], complain);
  for (const sample of elements("button[data-sample]", HTMLButtonElement)) {
    const name = sample.dataset["sample"]!;
    const path = `samples/${name}.jpg`;
    sample.querySelector("img")!.src = path;
    sample.addEventListener("click", () => {
      void choices.painting.take(async () => {
        const response = await fetch(path).catch(() => undefined);
        if (!response?.ok) throw new Problem(`The sample “${name}” could not be loaded.`);
        return readPicture(await response.blob(), name);
      });
    });
  }
  strength.addEventListener("input", () => {
    strengthShown.value = (strength.valueAsNumber / 100).toFixed(2);
    ask();
  });
  for (const size of elements("input[name=size]", HTMLInputElement)) size.addEventListener("change", ask);
  compare.addEventListener("pointerdown", (event) => {
    compare.setPointerCapture(event.pointerId);
    comparing(true);
  });
  compare.addEventListener("keydown", (event) => {
    if (event.key === " " || event.key === "Enter") comparing(true);
  });
  for (const end of ["pointerup", "pointercancel", "keyup", "blur"]) {
    compare.addEventListener(end, () => comparing(false));
  }
  compare.addEventListener("contextmenu", (event) => event.preventDefault()); // a long press on a phone
  for (const button of saves) {
    const format = button.dataset["format"] as keyof typeof FORMATS;
    button.addEventListener("click", () => {
      if (shown === undefined) return;
      const name = `${shown.photograph.name}-${shown.painting.name}.${FORMATS[format].ending}`;
      encoded(result, format).then(
        (blob) => save(blob, name),
        (failure: unknown) => complain(problemOf(failure).message),
      );
    });
  }
}

/** Why this page cannot work here, if it cannot. */
function obstacle(): string | undefined {
  if (location.protocol === "file:") {
    return "Browsers do not let this page work from a file: serve its folder, as docs/browser.md shows.";
  }
  if (typeof WebAssembly !== "object") {
    return "This page needs WebAssembly, which this browser lacks or has switched off.";
  }
  return undefined;
}

async function start(): Promise<void> {
  const why = obstacle();
  if (why !== undefined) {
    complain(why);
    say("");
    return;
  }
  await serveOffline();
  connect();
  say("Loading the network …");
  try {
    await studio.load();
    ask();
  } catch (failure) {
    complain(problemOf(failure).message);
    say("The network is not there.");
  }
}

void start();
