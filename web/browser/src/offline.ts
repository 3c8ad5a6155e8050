/** The service worker's side of the page. */

/** A visit waits so long for the service worker, milliseconds; then it goes on without. */
const PATIENCE = 5000;
const RELOADED = "artune-reloaded";

/**
 * Starts the service worker. Returns once it serves the page, or where there is none.
 *
 * A page that was loaded without it has one thread: it is loaded once more, then with the headers for several.
 */
export async function serveOffline(): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  const { serviceWorker } = navigator;
  if (serviceWorker.controller === null) {
    const taken = new Promise<void>((resolve) => {
      serviceWorker.addEventListener("controllerchange", () => resolve(), { once: true });
      setTimeout(resolve, PATIENCE);
    });
    const registered = await serviceWorker.register("service-worker.js").catch(() => undefined);
    // loaded past the service worker on purpose, which some browsers do at shift-reload
    if (registered === undefined || (registered.active !== null && registered.active.state === "activated")) return;
    await taken;
  } else {
    void serviceWorker.register("service-worker.js").catch(() => undefined); // looks for a new version
  }
  if (serviceWorker.controller === null || crossOriginIsolated || sessionStorage.getItem(RELOADED) !== null) return;
  sessionStorage.setItem(RELOADED, "yes");
  location.reload();
  await new Promise(() => undefined); // the page ends here
}
