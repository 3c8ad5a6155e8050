/** The model's folder: two networks and `model.json`, which says what they are. */

import { Problem } from "./problem";

export const FORMAT = "artune-onnx";
export const VERSION = 1;
export const KIND = "painter";

/** Length of a side of an input or output: a number, `K` of `model.json`, or any. */
type Length = number | "K" | "any";
type Ports = Readonly<Record<string, readonly Length[]>>;

/** A network as the format has it: shapes of its inputs and outputs, by their names. */
export interface Needed {
  readonly file: string;
  readonly inputs: Ports;
  readonly outputs: Ports;
}

/** An input or output that a network has; a side that is free has a name instead of a length. */
export interface Port {
  readonly name: string;
  readonly shape: readonly (number | string)[];
}

const PICTURE = [1, 3, "any", "any"] as const;
export const PAINTING: Needed = { file: "painting.onnx", inputs: { painting: PICTURE }, outputs: { style: [1, "K"] } };
export const PAINTER: Needed = {
  file: "painter.onnx",
  inputs: { photograph: PICTURE, style: [1, "K"], strength: [1] },
  outputs: { picture: PICTURE },
};

const EXPORT = "build the page with a folder that `artune export painter` has written";

/** Checks what `model.json` says, and returns its K. Throws a `Problem` where this page cannot use the model. */
export function checkModel(said: unknown): number {
  const { format, version, kind, K } = (typeof said === "object" && said !== null ? said : {}) as Record<string, unknown>;
  if (format !== FORMAT) {
    throw new Problem(`The model's format is ${told(format)}, but this page needs ${told(FORMAT)}: ${EXPORT}.`);
  }
  if (version !== VERSION) {
    throw new Problem(
      `The model is of version ${told(version)}, but this page needs version ${VERSION}: ` +
        "build the page again with a model of that version.",
    );
  }
  if (kind !== KIND) {
    throw new Problem(`The model is of the kind ${told(kind)}, but this page needs ${told(KIND)}: ${EXPORT}.`);
  }
  if (typeof K !== "number" || !Number.isInteger(K) || K < 1) {
    throw new Problem(`The model's K is ${told(K)}, but this page needs the length of a style: ${EXPORT}.`);
  }
  return K;
}

/** Checks that a network has the inputs and outputs of the format. Throws a `Problem` where it has not. */
export function checkNetwork(needed: Needed, K: number, inputs: readonly Port[], outputs: readonly Port[]): void {
  const wrong = [...faults(needed.inputs, K, inputs), ...faults(needed.outputs, K, outputs)];
  if (wrong.length > 0) {
    throw new Problem(`The model does not fit this page: in ${needed.file}, ${wrong.join(", and ")}.`);
  }
}

function faults(needed: Ports, K: number, found: readonly Port[]): string[] {
  return Object.entries(needed).flatMap(([name, lengths]) => {
    const port = found.find((each) => each.name === name);
    if (port === undefined) return [`${told(name)} is missing`];
    const shape = lengths.map((length) => (length === "K" ? K : length));
    const fits = shape.length === port.shape.length && shape.every((length, axis) => fitting(length, port.shape[axis]!));
    return fits ? [] : [`${told(name)} has the shape [${port.shape.join(", ")}], not [${shape.join(", ")}]`];
  });
}

/** Where any length is needed, none may be fixed; where one is needed, a free side takes it. */
function fitting(needed: number | "any", found: number | string): boolean {
  return typeof found === "string" || found === needed;
}

function told(value: unknown): string {
  return value === undefined ? "missing" : (JSON.stringify(value) ?? String(value));
}
