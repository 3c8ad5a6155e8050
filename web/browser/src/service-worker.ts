/**
 * The service worker: it keeps every file that was loaded, so that the page works without a network, and adds the
 * headers that a static host may not send. With them the page may use several threads.
 */

import { ACTIVATE } from "./messages";

declare const self: ServiceWorkerGlobalScope;

/** The digest of every file, by its path beside the page; the build writes it. */
declare const BUILT_FILES: Readonly<Record<string, string>>;
/** The policy that the page states, which holds for its workers, too: no other machine is spoken to. */
declare const BUILT_POLICY: string;

const CACHE = "artune";

/** Files that are kept when they are first used: not every visit needs them all. */
const LARGE = /\.(wasm|onnx)$/;

const HEADERS = {
  "Content-Security-Policy": BUILT_POLICY,
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

/** A file's address in the cache. It changes with the file, so that a new version loads what has changed alone. */
function key(path: string): string {
  return new URL(`${path}?${BUILT_FILES[path]}`, self.registration.scope).href;
}

async function kept(path: string): Promise<Response> {
  const cache = await caches.open(CACHE);
  const found = await cache.match(key(path));
  if (found !== undefined) return found;
  const response = await fetch(new URL(path, self.registration.scope), { cache: "no-cache" });
  if (response.ok) await cache.put(key(path), response.clone());
  return response;
}

async function keepSmall(): Promise<void> {
  const paths = Object.keys(BUILT_FILES).filter((path) => !LARGE.test(path));
  const answers = await Promise.all(paths.map(kept));
  if (!answers.every((answer) => answer.ok)) throw new Error("A file of the page is missing.");
}

async function forgetOld(): Promise<void> {
  const cache = await caches.open(CACHE);
  const current = new Set(Object.keys(BUILT_FILES).map(key));
  for (const { url } of await cache.keys()) {
    if (!current.has(url)) await cache.delete(url);
  }
}

async function answer(request: Request, path: string): Promise<Response> {
  const response = path in BUILT_FILES ? await kept(path) : await fetch(request);
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

self.addEventListener("install", (event) => event.waitUntil(keepSmall()));
self.addEventListener("activate", (event) => event.waitUntil(forgetOld().then(() => self.clients.claim())));
self.addEventListener("message", ({ data }) => {
  if (data === ACTIVATE) void self.skipWaiting();
});
self.addEventListener("fetch", (event) => {
  const { href, origin, pathname } = new URL(event.request.url);
  if (event.request.method !== "GET" || !href.startsWith(self.registration.scope)) return;
  const path = `${origin}${pathname}`.slice(self.registration.scope.length) || "index.html";
  event.respondWith(answer(event.request, path));
});
