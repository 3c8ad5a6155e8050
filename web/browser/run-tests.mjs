/** Bundles the tests, and runs them by node's own runner. */

import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const tests = join(dirname(fileURLToPath(import.meta.url)), "tests");
const work = mkdtempSync(join(tmpdir(), "artune-browser-"));
try {
  const names = readdirSync(tests).filter((name) => /\.test\.m?[jt]s$/.test(name));
  await build({
    entryPoints: names.map((name) => join(tests, name)),
    outdir: work,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    sourcemap: "inline",
    logLevel: "warning",
  });
  const bundles = names.map((name) => join(work, name.replace(/\.m?[jt]s$/, ".mjs")));
  const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...bundles], { stdio: "inherit" });
  process.exitCode = status ?? 1;
} finally {
  rmSync(work, { recursive: true });
}
