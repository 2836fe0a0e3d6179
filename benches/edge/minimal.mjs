//! The least that a worker can do, in plain JavaScript, as a peer: it parses the body and echoes
//! it; under `/row` it first reads one row from the visitor's own SQLite object; under `/fields` it
//! reads the fields that a decide call needs and answers a text as long as an answer is. It must
//! never be slower than it has to be.

const QUERY = "SELECT bytes FROM state WHERE key = 'state'";

export class Row {
  constructor(state) {
    this.sql = state.storage.sql;
  }

  async fetch(request) {
    if (request.method === "PUT") {
      const bytes = await request.arrayBuffer();
      this.sql.exec("CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, bytes BLOB NOT NULL)");
      this.sql.exec("INSERT OR REPLACE INTO state VALUES ('state', ?)", bytes);
      return new Response(null, { status: 204 });
    }
    const [{ bytes }] = this.sql.exec(QUERY).toArray();
    return new Response(bytes);
  }
}

/** What the edge's shim reads of each call (`worker/shim.mjs`). */
const FIELDS = [
  "content-length",
  "content-encoding",
  "transfer-encoding",
  "cache-control",
  "content-type",
  "cookie",
  "origin",
  "sec-gpc",
];
const ANSWER = JSON.stringify({ decisions: "x".repeat(1_000) });
const PLAIN = {
  "content-type": "application/json",
  "cache-control": "private, no-store",
  "x-content-type-options": "nosniff",
};

async function fields(request) {
  const { headers } = request;
  const read = FIELDS.map((name) => headers.get(name)).join("\n");
  const body = await request.arrayBuffer();
  // So that nothing of it can be left out.
  if (read.length + body.byteLength === 0) throw new Error("nothing was read");
  return new Response(ANSWER, { headers: PLAIN });
}

/** The visitor's object, named by the cookie as it came. */
function row(request, env) {
  return env.ROW.get(env.ROW.idFromName(request.headers.get("cookie")));
}

export default {
  async fetch(request, env) {
    if (request.url.endsWith("/fields")) return fields(request);
    if (!request.url.endsWith("/row")) return Response.json(await request.json());
    if (request.method === "PUT") return row(request, env).fetch(request);
    const body = await request.json();
    const answer = await row(request, env).fetch("https://object/");
    const bytes = await answer.arrayBuffer();
    return Response.json({ ...body, bytes: bytes.byteLength });
  },
};
