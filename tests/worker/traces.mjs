// Every trace that a visitor can leave: what the browser keeps, what it asked for, and every row of
// the edge's objects and of the central store. It must never leave a trace itself.

import { came, readQuietRows } from "../e2e/rows.mjs";

/** The kinds of traces; each list of `listTraces` is under one of these. */
export const KINDS = [
  "cookies",
  "documentCookie",
  "localStorage",
  "sessionStorage",
  "indexedDB",
  "caches",
  "serviceWorkers",
  "edgeRows",
  "centralRows",
  "writes",
  "foreignRequests",
];

/** All rows, once those who write have come to rest. */
export const rowsOf = (both) => readQuietRows(both.folder);

/** Traces of a visitor, as text, by kind; the rows are those that came since `before`. */
export async function listTraces(both, { context, page, requests }, before) {
  const rows = came(before, await rowsOf(both));
  const text = ({ place, text: row }) => `${place}: ${row.replace(/[^ -~]/g, "·").slice(0, 120)}`;
  const inPage = await page.evaluate(listPage);
  const cookies = await context.cookies();
  const own = both.edge.url.origin;
  const sent = requests.map((request) => `${request.method()} ${request.url()}`);
  return {
    cookies: cookies.map(({ name, value }) => `${name}=${value}`),
    ...inPage,
    edgeRows: rows.filter(({ place }) => place.startsWith("edge")).map(text),
    centralRows: rows.filter(({ place }) => place.startsWith("central")).map(text),
    writes: sent.filter((line) => !/^(GET|HEAD) /.test(line)),
    foreignRequests: sent.filter((line) => new URL(line.split(" ")[1]).origin !== own),
  };
}

/** Runs in the page. A database is opened only where there is one: opening makes it. */
async function listPage() {
  const entries = (storage) => Object.entries({ ...storage }).map(([k, v]) => `${k}=${v}`);
  const done = (request) =>
    new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    });
  const rows = [];
  for (const { name } of await indexedDB.databases()) {
    const database = await done(indexedDB.open(name));
    rows.push(name);
    for (const store of database.objectStoreNames) {
      const all = await done(database.transaction(store).objectStore(store).getAll());
      rows.push(...all.map((row) => `${name}/${store}: ${JSON.stringify(row)}`));
    }
    database.close();
  }
  const cached = [];
  for (const name of await caches.keys()) {
    cached.push(name);
    for (const request of await (await caches.open(name)).keys()) {
      cached.push(`${name}: ${request.url}`);
    }
  }
  const workers = await navigator.serviceWorker.getRegistrations();
  return {
    documentCookie: document.cookie ? [document.cookie] : [],
    localStorage: entries(localStorage),
    sessionStorage: entries(sessionStorage),
    indexedDB: rows,
    caches: cached,
    serviceWorkers: workers.map(({ scope }) => scope),
  };
}
