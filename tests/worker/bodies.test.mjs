// Every way that a body is read: small ones before Rust is asked, longer ones of a length that was
// said in one piece, chunks and what is compressed as streams. One that breaks off, is too long or
// makes no sense gets the same stable code on each.

import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { gzipSync } from "node:zlib";
import { Browser, KEYS, publish, startEdge, WORKSPACE } from "./edge.mjs";

/** The longest body that is read before Rust is asked, as `worker/shim.mjs` says. */
const SMALL = 16_384;

let edge;
let browser;

before(async () => {
  edge = await startEdge();
  await publish(edge);
  browser = new Browser(edge);
  await browser.allowAll();
});
after(() => edge?.stop());

/** Of each bound a route, with a body that is good, and what it says to one that is no JSON. */
const ROUTES = [
  {
    path: "v1/decide",
    most: 16 * 1_024,
    good: '{"placements":["hero"]}',
  },
  {
    path: "v1/track",
    most: 32 * 1_024,
    good: '{"event":"Product Added","messageId":"twice"}',
  },
  {
    path: "v1/consent",
    most: 208 * 1_024,
    good: '{"choices":{"share":false},"banner":"test-1"}',
  },
  {
    path: "v1/batch",
    most: 500 * 1_024,
    good: '{"batch":[{"type":"page","messageId":"once"}]}',
  },
  {
    path: "sync/v1/apply",
    most: 4 * 1_024 * 1_024,
    good: '{"wireVersion":1,"changes":[],"cursor":1,"more":false}',
    key: KEYS.central,
  },
  {
    path: "admin/v1/workspace",
    method: "PUT",
    most: 8 * 1_024 * 1_024,
    good: WORKSPACE,
    key: KEYS.admin,
    noJson: "bad_workspace",
  },
  {
    path: "ofrep/v1/evaluate/flags",
    most: 16 * 1_024,
    good: '{"context":{"targetingKey":"somebody"}}',
    // The protocol knows 400 alone.
    tooLarge: 400,
  },
];

const chunk = (bytes) =>
  Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from("\r\n")]);

/** How the bytes of a body go over the wire: the fields that say so, and what follows them. */
const WAYS = {
  whole: (body) => [[`content-length: ${body.length}`], body],
  chunks: (body) => {
    const half = body.length >> 1;
    const pieces = [body.subarray(0, half), body.subarray(half)].filter(({ length }) => length > 0);
    const end = Buffer.from("0\r\n\r\n");
    return [["transfer-encoding: chunked"], Buffer.concat([...pieces.map(chunk), end])];
  },
  gzip: (body) => {
    const packed = gzipSync(body);
    return [["content-encoding: gzip", `content-length: ${packed.length}`], packed];
  },
  "gzip in chunks": (body) => {
    const [fields, sent] = WAYS.chunks(gzipSync(body));
    return [["content-encoding: gzip", ...fields], sent];
  },
};

/** The bytes as they are, then the end of what is sent: the answer still comes. */
async function exchange({ path, method = "POST", key }, fields, sent) {
  const { host, hostname, origin, port } = edge.url;
  const caller = key
    ? [`authorization: Bearer ${key}`]
    : [`origin: ${origin}`, `cookie: __Host-selvedge=${browser.cookie}`];
  const head = [
    `${method} /_selvedge/${path} HTTP/1.1`,
    `host: ${host}`,
    "content-type: application/json",
    ...caller,
    ...fields,
  ];
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  const answer = [];
  socket.on("data", (bytes) => answer.push(bytes));
  // A refusal may leave a body unread, which ends its connection.
  socket.on("error", () => {});
  socket.end(Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), sent]));
  socket.on("end", () => socket.destroy());
  await new Promise((resolve) => socket.on("close", resolve));
  const text = Buffer.concat(answer).toString("utf8");
  const status = Number(text.match(/^HTTP\/1\.1 (\d{3})/)?.[1]);
  const json = text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1);
  return [status, json === "" ? text : JSON.parse(json).code];
}

/** White space before a body makes it as long as one likes. */
const padded = (text, length) => Buffer.from(text.padStart(length));

/** A body's lengths that are read by different ways, where the route takes them. */
function lengths({ good, most }) {
  const all = new Set([good.length, SMALL, SMALL + 1, most]);
  return [...all].filter((length) => length <= most);
}

for (const [way, wire] of Object.entries(WAYS)) {
  test(`bodies as ${way}`, async () => {
    const wrong = [];
    for (const route of ROUTES) {
      const { path, good, most, noJson = "bad_json", tooLarge = 413 } = route;
      const expect = async (what, [fields, sent], ...expected) => {
        const said = await exchange(route, fields, sent);
        if (`${said}` !== `${expected}`) wrong.push(`${path}, ${what}: ${said}, not ${expected}`);
      };
      for (const length of lengths(route)) {
        const at = `${length} bytes`;
        const [fields, sent] = wire(padded(good, length));
        const [status] = await exchange(route, fields, sent);
        if (status !== 200) wrong.push(`${path}, ${at}: ${status}`);
        const less = sent.subarray(0, sent.length - 8);
        await expect(`${at} that break off`, [fields, less], 400, "bad_body");
        await expect(`${at} that are no JSON`, wire(padded("{", length)), 400, noJson);
        const notUtf8 = padded(good, length);
        notUtf8[length - 2] = 0xff;
        await expect(`${at} that are no UTF-8`, wire(notUtf8), 400, "not_utf8");
      }
      // A length that is too large is refused as it is read, so that nothing need follow it.
      const [fields, sent] = wire(padded(good, most + 1));
      const more = way === "whole" ? Buffer.of() : sent;
      await expect("a byte too many", [fields, more], tooLarge, "body_too_large");
      const [said] = wire(padded(good, SMALL));
      await expect("nothing of what was said", [said, Buffer.of()], 400, "bad_body");
    }
    assert.deepEqual(wrong, []);
  });
}

test("chunks that are none", async () => {
  for (const sent of ["zz\r\n{}\r\n0\r\n\r\n", "2\r\n{}", "2\r\n{}\r\n", "-1\r\n"]) {
    for (const route of ROUTES) {
      const said = await exchange(route, ["transfer-encoding: chunked"], Buffer.from(sent));
      assert.deepEqual(said, [400, "bad_body"], `${route.path} ${JSON.stringify(sent)}`);
    }
  }
});

test("chunks overrule a length that was said", async () => {
  const [decide] = ROUTES;
  for (const [body, ...expected] of [
    [decide.good, 200],
    ["{", 400, "bad_json"],
    [decide.good.padStart(decide.most + 1), 413, "body_too_large"],
  ]) {
    const [fields, sent] = WAYS.chunks(Buffer.from(body));
    const said = await exchange(decide, ["content-length: 2", ...fields], sent);
    assert.deepEqual(said.slice(0, expected.length), expected);
  }
});

test("a broken body is refused where a copy of her state would answer", async () => {
  const [decide] = ROUTES;
  const cut = [[`content-length: ${decide.good.length}`], Buffer.from("{")];
  for (const [[fields, sent], ...expected] of [
    [cut, 400, "bad_body"],
    [WAYS.whole(Buffer.from("{")), 400, "bad_json"],
    [WAYS.whole(Buffer.from([0x7b, 0xff, 0x7d])), 400, "not_utf8"],
    [WAYS.whole(Buffer.from('{"nonsense":1}')), 400, "unknown_field"],
    [WAYS.whole(Buffer.from('{"placements":["nowhere"]}')), 400, "unknown_placement"],
    [WAYS.whole(Buffer.from("")), 400, "bad_json"],
  ]) {
    // So many in a row that there is one.
    for (let asked = 0; asked < 5; asked++) {
      assert.equal((await browser.post("/v1/decide", { placements: ["hero"] })).status, 200);
    }
    assert.deepEqual(await exchange(decide, fields, sent), expected);
  }
});
