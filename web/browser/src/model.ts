/** The model's folder: two networks and `model.json`, which says what they are. */

import { Problem } from "./problem";

export const FORMAT = "artune-onnx";
export const VERSION = 1;

/** Names of the networks' inputs and outputs, as the format has them. */
export const PAINTING = { file: "painting.onnx", inputs: ["painting"], output: "style" } as const;
export const PAINTER = {
  file: "painter.onnx",
  inputs: ["photograph", "style", "strength"],
  output: "picture",
} as const;

/** Checks what `model.json` says. Throws a `Problem` where this page cannot use the model. */
export function checkModel(said: unknown): void {
  const { format, version } = (typeof said === "object" && said !== null ? said : {}) as Record<string, unknown>;
  if (format !== FORMAT) {
    throw new Problem(`The model's format is ${told(format)}, but this page needs ${told(FORMAT)}.`);
  }
  if (version !== VERSION) {
    throw new Problem(
      `The model is of version ${told(version)}, but this page needs version ${VERSION}: ` +
        "build the page again with a model of that version.",
    );
  }
}

/** Checks that a network has the inputs and the output of the format. Throws a `Problem` where it has not. */
export function checkNetwork(
  needed: { readonly file: string; readonly inputs: readonly string[]; readonly output: string },
  inputs: readonly string[],
  outputs: readonly string[],
): void {
  const missing = needed.inputs.filter((name) => !inputs.includes(name));
  if (!outputs.includes(needed.output)) missing.push(needed.output);
  if (missing.length > 0) {
    throw new Problem(`The model does not fit this page: ${needed.file} has no ${missing.map(told).join(", ")}.`);
  }
}

function told(value: unknown): string {
  return value === undefined ? "missing" : (JSON.stringify(value) ?? String(value));
}
