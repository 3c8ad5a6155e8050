/**
 * Builds the page:
 *
 *     node build.mjs --model DIR [--out DIR] [--brotli 0..11]
 *
 * Scripts are bundled, everything is copied, compressed copies (.br, .gz) lie beside the files for servers that send
 * them. It prints what one visit loads, and at brotli 11 fails where that is too much. The folder is there complete, or
 * not at all.
 */

import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { build } from "esbuild";
import { BEST, weighed } from "./bound.mjs";

const MODEL = ["model.json", "painting.onnx", "painter.onnx"];
const SAMPLES = ["strokes", "mosaic", "woodcut", "washes"];
/** The build of ONNX Runtime for each kind of visit; each has a .wasm and an .mjs. */
const RUNTIMES = { WebAssembly: "ort-wasm-simd-threaded", WebGPU: "ort-wasm-simd-threaded.jspi" };
/** Files that are compressed already. */
const COMPRESSED = /\.jpg$/;

const here = dirname(fileURLToPath(import.meta.url));
const bundled = join(here, "../../src/artune/bundled");
const given = options();
const quality = Number(given.brotli);
const out = resolve(given.out);
const work = `${out}.partial`;

function fail(sentence) {
  console.error(sentence);
  process.exit(2);
}

function options() {
  try {
    return parseArgs({
      options: {
        model: { type: "string" },
        out: { type: "string", default: join(here, "../../build/browser") },
        brotli: { type: "string", default: String(BEST) },
      },
    }).values;
  } catch (failure) {
    return fail(`${failure.message.split(/[.\n]/, 1)[0]}: node build.mjs --model DIR [--out DIR] [--brotli 0..11]`);
  }
}

/** Fails where the page would refuse the model that `model.json` describes; the check is the page's own. */
async function checkModel(path) {
  const { outputFiles } = await build({
    entryPoints: [join(here, "src/model.ts")],
    bundle: true,
    format: "esm",
    write: false,
    logLevel: "warning",
  });
  const { checkModel } = await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString("base64")}`);
  let said;
  try {
    said = JSON.parse(readFileSync(path, "utf8"));
  } catch {
    fail(`${path} is not JSON: it is damaged.`);
  }
  try {
    checkModel(said);
  } catch (failure) {
    fail(`${path}: ${failure.message}`);
  }
}

function copy(from, to) {
  mkdirSync(dirname(join(work, to)), { recursive: true });
  cpSync(from, join(work, to));
}

function files(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? files(join(folder, entry.name)) : [join(folder, entry.name)],
  );
}

/** Paths of what is built so far, relative to the page, with forward slashes. */
function built() {
  return files(work).map((path) => relative(work, path).split("\\").join("/")).sort();
}

async function bundle(entries, format, define = {}) {
  await build({
    entryPoints: entries.map((name) => join(here, "src", `${name}.ts`)),
    outdir: work,
    bundle: true,
    splitting: format === "esm",
    format,
    target: "es2022",
    minify: true,
    conditions: ["onnxruntime-web-use-extern-wasm"],
    define: Object.fromEntries(Object.entries(define).map(([name, value]) => [name, JSON.stringify(value)])),
    logLevel: "warning",
  });
}

/** Writes compressed copies, and says how large a file is as it is and compressed. */
async function compressed(path) {
  const bytes = readFileSync(join(work, path));
  if (COMPRESSED.test(path)) return { bytes: bytes.length, gz: bytes.length, br: bytes.length };
  const [gz, br] = await Promise.all([
    // a quick build is quick in both
    promisify(gzip)(bytes, { level: Math.min(9, quality) }),
    promisify(brotliCompress)(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: quality,
        [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
    }),
  ]);
  writeFileSync(join(work, `${path}.gz`), gz);
  writeFileSync(join(work, `${path}.br`), br);
  return { bytes: bytes.length, gz: gz.length, br: br.length };
}

function row(name, { bytes, gz, br }) {
  return [name.padEnd(42), ...[bytes, gz, br].map((count) => String(count).padStart(11))].join("");
}

function total(sizes, counted) {
  const sum = { bytes: 0, gz: 0, br: 0 };
  for (const [path, size] of Object.entries(sizes)) {
    if (counted(path)) for (const kind of Object.keys(sum)) sum[kind] += size[kind];
  }
  return sum;
}

if (given.model === undefined) fail(`--model is missing: name the folder with ${MODEL.join(", ")}.`);
for (const name of MODEL) {
  const path = join(given.model, name);
  if (!existsSync(path)) fail(`${path} is missing: --model needs a folder with ${MODEL.join(", ")}.`);
}
if (!/^([0-9]|10|11)$/.test(given.brotli)) fail(`--brotli is ${given.brotli}: it needs a number from 0 to 11.`);
await checkModel(join(given.model, "model.json"));

rmSync(work, { recursive: true, force: true });
for (const name of ["index.html", "page.css", "icon.svg"]) copy(join(here, name), name);
for (const name of SAMPLES) copy(join(bundled, `${name}.jpg`), `samples/${name}.jpg`);
for (const name of MODEL) copy(join(given.model, name), `model/${name}`);
const ort = join(here, "node_modules/onnxruntime-web/dist");
for (const name of Object.values(RUNTIMES)) {
  for (const ending of [".wasm", ".mjs"]) copy(join(ort, name + ending), `ort/${name}${ending}`);
}
const large = built().filter((path) => /\.(wasm|onnx)$/.test(path));
const sizes = Object.fromEntries(large.map((path) => [path, readFileSync(join(work, path)).length]));
await bundle(["page"], "iife");
await bundle(["worker"], "esm", { BUILT_SIZES: sizes });
const digests = built().map((path) => [
  path,
  createHash("sha256").update(readFileSync(join(work, path))).digest("hex").slice(0, 16),
]);
const [, policy] = /Content-Security-Policy"\s+content="([^"]+)"/.exec(readFileSync(join(here, "index.html"), "utf8"));
await bundle(["service-worker"], "iife", { BUILT_FILES: Object.fromEntries(digests), BUILT_POLICY: policy });

const paths = built();
const measured = await Promise.all(paths.map(compressed));
const table = Object.fromEntries(paths.map((path, place) => [path, measured[place]]));
console.log(["bytes of".padEnd(42), ...["file", "gzip", "brotli"].map((head) => head.padStart(11))].join(""));
for (const path of paths) console.log(row(path, table[path]));
for (const [visit, runtime] of Object.entries(RUNTIMES)) {
  const others = Object.values(RUNTIMES).filter((name) => name !== runtime);
  const unused = new Set(others.flatMap((name) => [`ort/${name}.wasm`, `ort/${name}.mjs`]));
  const sum = total(table, (path) => !unused.has(path));
  console.log(row(`a visit, ${visit}`, sum));
  const { tooMuch, sentence } = weighed(visit, sum.br, quality);
  if (tooMuch) {
    rmSync(work, { recursive: true });
    fail(sentence);
  }
  console.log(sentence);
}
rmSync(out, { recursive: true, force: true });
renameSync(work, out);
console.log(`built ${out}`);
