/** The page's side of the service worker. */

import { ACTIVATE } from "./messages";

/** A visit waits so long for the service worker, milliseconds; then it goes on without. */
const PATIENCE = 5000;
/** The mark that the page was loaded once more already, in the session of its tab. */
const RELOADED = "artune-reloaded";

/**
 * Starts the service worker. Returns once it serves the page, or where there is none.
 *
 * A page that was loaded without it has one thread: it is loaded once more, then with the headers for several. So is a
 * page of which the last visit has found a new version.
 */
export async function serveOffline(): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  const { serviceWorker } = navigator;
  const taken = new Promise<void>((resolve) => {
    serviceWorker.addEventListener("controllerchange", () => resolve(), { once: true });
    setTimeout(resolve, PATIENCE);
  });
  const before = await serviceWorker.getRegistration().catch(() => undefined);
  if (before !== undefined && before.waiting !== null) {
    before.waiting.postMessage(ACTIVATE);
    await taken;
    return reload();
  }
  const registered = serviceWorker.register("service-worker.js").catch(() => undefined); // looks for a new version
  if (serviceWorker.controller === null) {
    const { active } = (await registered) ?? {};
    // where one is active that does not serve this page, the page was loaded past it on purpose, as by shift-reload
    if (active === undefined || active?.state === "activated") return;
    await taken;
  }
  if (serviceWorker.controller === null || crossOriginIsolated || sessionStorage.getItem(RELOADED) !== null) return;
  sessionStorage.setItem(RELOADED, "yes");
  return reload();
}

/** Loads the page once more; it never returns. */
function reload(): Promise<never> {
  location.reload();
  return new Promise(() => undefined);
}
