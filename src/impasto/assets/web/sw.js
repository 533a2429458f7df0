// Holds the page for use offline: itself, what it runs on, and every style. `impasto export --web` says which files there are, and the version
// that they make; another version of the page has another service worker, which fetches anew and forgets the old files.

const VERSION = null;
const FILES = null;
const PREFIX = "impasto-live-", CACHE = `${PREFIX}${VERSION}`;
const SHELL = FILES.filter((name) => !/^(vendor|models)\//.test(name));
const root = new URL("./", self.location);
const address = (name) => new URL(name === "index.html" ? "./" : name, root).href;

/** The files that a browser needs: of what runs networks, that for the processor, or that for the graphics processor. */
function wanted(provider) {
  const engine = FILES.filter((name) => name.startsWith("vendor/") && (provider === "webgpu") === /webgpu|asyncify/.test(name));
  return [...SHELL, ...engine, ...FILES.filter((name) => name.startsWith("models/"))];
}

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(SHELL.map((name) => new Request(address(name), { cache: "reload" })));
    await self.skipWaiting();
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    await forgetOthers();
    await self.clients.claim();
  })());
});

/** Forget what versions before this one held. */
async function forgetOthers() {
  for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
}

/** What is held; null once a newer version has taken over and forgot it. */
const held = async () => ((await caches.has(CACHE)) ? caches.open(CACHE) : null);

/** From the server, kept on the way. */
async function fetched(request, cache) {
  const answer = await fetch(request);
  if (answer.status === 200) await cache?.put(request, answer.clone());
  return answer;
}

// The page itself comes from the server as long as that answers, so that a new version is shown at once; large files do not change.
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || !url.href.startsWith(root.href)) return;
  const name = url.pathname.slice(root.pathname.length) || "index.html";
  if (!FILES.includes(name)) return;
  event.respondWith((async () => {
    const cache = await held(), key = address(name);
    if (/^(vendor|models)\//.test(name)) return (await cache?.match(key)) || fetched(key, cache);
    try { return await fetched(new Request(key, { cache: "no-cache" }), cache); } catch (error) {
      const kept = await cache?.match(key);
      if (kept) return kept;
      throw error;
    }
  })());
});

// The page asks for everything to be held, and is told how much is. A page of a newer version waits for the worker that came with it.
let holding = Promise.resolve();
self.addEventListener("message", (event) => {
  if (event.data?.version !== VERSION) return;
  holding = holding.then(() => hold(event.data.hold, event.source));
  event.waitUntil(holding);
});

async function hold(provider, page) {
  const cache = await caches.open(CACHE), names = wanted(provider);
  let count = 0, missing = 0;
  for (const name of names) {
    try {
      if (!(await cache.match(address(name)))) await cache.add(address(name));
      count += 1;
    } catch { missing += 1; }
    if (count + missing === names.length) await forgetOthers(); // the worker before may have been at work until now
    page?.postMessage({ held: count, of: names.length, missing, version: VERSION });
  }
}
