//! The official platforms of TCF and GPP, US Privacy and Google's Consent Mode in a page: what they
//! say goes to the edge, once, and nothing that a platform does or leaves undone opens anything.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, beforeEach, test } from "node:test";
import {
  ALL,
  consent,
  manifest,
  NONE,
  page,
  sleep,
  startBrowser,
  startSite,
  state,
  until,
} from "../tag/site.mjs";
import { EVERYTHING, NOTHING, platforms, UNCOUNTED } from "./strings.mjs";

const CONSENT = "/_selvedge/v1/consent";
const SIGNALS = `/_selvedge/${manifest.signals}`;
const JS = { "content-type": "text/javascript" };
const CODE = platforms();
const STUB = readFileSync(
  new URL("../../node_modules/@iabtechlabtcf/stub/lib/stub.js", import.meta.url),
  "utf8",
);
/** Longer than everything that the page waits for before it hands over. */
const QUIET_MS = 600;

let browser;
let site;
let context;
let tab;
/** What the edge believes. */
let kept;

before(async () => {
  browser = await startBrowser();
});
after(() => browser.close());

beforeEach(async (t) => {
  site = await startSite();
  context = await browser.newContext();
  tab = await context.newPage();
  kept = NONE;
  site.answers[CONSENT] = () => ({ body: kept });
  site.answers["/tcf-stub.js"] = () => ({ headers: JS, body: STUB });
  site.answers["/platforms.js"] = () => ({ headers: JS, body: CODE });
  t.after(async () => {
    await context.close();
    await site.stop();
  });
});

const script = (...paths) => paths.map((path) => `<script src="${path}"></script>`).join("");
const posts = () => site.of(CONSENT).filter((call) => call.method === "POST");
const strings = () => posts().map((call) => call.json.strings);
const purposes = () => tab.evaluate(async () => (await selvedge.consent()).purposes);

async function open({ scripts = ["/platforms.js"], from = kept, first, setUp } = {}) {
  if (setUp) await tab.addInitScript(setUp);
  site.pages["/"] = page({ state: state(from), early: script(...scripts), first });
  await tab.goto(site.url);
  await tab.waitForFunction(() => !window.selvedge.calls);
  await tab.evaluate(() => selvedge.ready);
}

/** Opens a page whose TCF platform remembers this string. */
async function openTcf(remembered) {
  await open({ scripts: ["/tcf-stub.js", "/platforms.js"] });
  await tab.evaluate((text) => {
    window.cmp = new TcfApi(31, 1, true);
    if (text === undefined) cmp.update("", true);
    else cmp.update(text);
  }, remembered);
}

const chooses = (text) => tab.evaluate((text) => cmp.update(text), text);

test("a page without a platform does not fetch what hears one", async () => {
  await open();
  await sleep(QUIET_MS);
  assert.equal(site.of(SIGNALS).length, 0);
  assert.equal(site.of(CONSENT).length, 0);
});

test("TCF: an open window says nothing; what is chosen in it is handed over", async () => {
  await openTcf();
  await until(() => site.of(SIGNALS).length === 1, "the file");
  await sleep(QUIET_MS);
  assert.deepEqual(posts(), []);
  kept = ALL;
  await chooses(EVERYTHING);
  await until(() => posts().length === 1, "the string");
  assert.deepEqual(posts()[0].json, { choices: {}, banner: "", strings: { tcf: EVERYTHING } });
  await until(async () => (await purposes()).personalise, "the edge's answer holds in the page");
});

test("TCF: a change and a withdrawal are handed over, the same string is not", async () => {
  await openTcf();
  kept = ALL;
  await chooses(EVERYTHING);
  await until(() => posts().length === 1, "the choice");
  await chooses(EVERYTHING);
  await sleep(QUIET_MS);
  assert.equal(posts().length, 1);
  kept = consent(["store", "profile", "personalise", "share"]);
  await chooses(UNCOUNTED);
  await until(() => posts().length === 2, "the change");
  kept = consent([]);
  await chooses(NOTHING);
  await until(() => posts().length === 3, "the withdrawal");
  assert.deepEqual(
    strings().map(({ tcf }) => tcf),
    [EVERYTHING, UNCOUNTED, NOTHING],
  );
});

test("TCF: what is remembered is handed over where nobody has chosen, once per tab", async () => {
  await openTcf(EVERYTHING);
  await until(() => posts().length === 1, "the string");
  kept = ALL;
  await openTcf(EVERYTHING);
  await until(() => posts().length === 2, "the first page after the choice");
  // A page that is left before the edge's answer has come says it again on the next.
  const remembered = () => tab.evaluate(() => sessionStorage.getItem("selvedge:strings"));
  await until(async () => (await remembered()) !== null, "the answer");
  await openTcf(EVERYTHING);
  await sleep(QUIET_MS);
  assert.equal(posts().length, 2);
});

test("TCF: what is remembered brings nothing back that was withdrawn elsewhere", async () => {
  kept = consent(["store", "measure"]);
  await openTcf(EVERYTHING);
  await until(() => posts().length === 1, "the string");
  // Of a choice and a string the edge takes the no.
  assert.deepEqual(posts()[0].json.choices, { profile: false, personalise: false, share: false });
  kept = consent([]);
  await tab.evaluate(() => sessionStorage.clear());
  await openTcf(EVERYTHING);
  await sleep(QUIET_MS);
  assert.equal(posts().length, 1, "nothing is left to deny");
});

test("TCF: where the law does not apply, nothing is handed over", async () => {
  await open({ scripts: ["/tcf-stub.js", "/platforms.js"] });
  await tab.evaluate(() => new TcfApi(31, 1, true).update(null));
  await until(() => site.of(SIGNALS).length === 1, "the file");
  await sleep(QUIET_MS);
  assert.deepEqual(posts(), []);
});

test("TCF: a platform that never answers holds up nothing", async () => {
  kept = ALL;
  await open({ scripts: ["/tcf-stub.js"] });
  await until(() => site.of(SIGNALS).length === 1, "the file");
  await tab.evaluate(() => selvedge.track("Article Read"));
  await until(() => site.events().length === 1, "the event");
  assert.deepEqual(posts(), []);
  assert.equal((await purposes()).measure, true);
});

test("a platform that throws is one that does not answer", async () => {
  kept = ALL;
  await open({
    setUp: () => {
      window.__tcfapi = () => {
        throw new Error("broken");
      };
    },
  });
  await until(() => site.of(SIGNALS).length === 1, "the file");
  await sleep(QUIET_MS);
  assert.equal((await purposes()).measure, true);
});

for (const [name, answers] of [
  ["a platform that failed", "[null, false]"],
  ["a string that is none", "[{ eventStatus: 'useractioncomplete', tcString: 7 }, true]"],
  ["a string of 1 MB", "[{ eventStatus: 'useractioncomplete', tcString: 'C'.repeat(1e6) }, true]"],
]) {
  test(`TCF: ${name} is unreadable, which denies even where the edge cannot be told`, async () => {
    kept = ALL;
    site.answers[CONSENT] = ({ method }) => (method === "POST" ? { status: 503 } : { body: kept });
    await open({
      setUp: `window.__tcfapi = (command, version, callback) => callback(...${answers});`,
    });
    await until(() => posts().length > 0, "the string");
    assert.deepEqual(strings()[0], { tcf: "" });
    assert.deepEqual(await purposes(), consent([]).purposes);
  });
}

test("a no in a string holds at once, even where the edge cannot be told", async () => {
  await openTcf();
  kept = ALL;
  await chooses(EVERYTHING);
  await until(async () => (await purposes()).measure, "the yes");
  site.answers[CONSENT] = () => ({ status: 503 });
  await chooses(NOTHING);
  await until(() => posts().length === 2, "the withdrawal");
  assert.deepEqual(await purposes(), consent([]).purposes);
});

test("GPP: the string goes to the edge when it is ready, and again when it changes", async () => {
  await open();
  await tab.evaluate(() => {
    window.cmp = new GppApi(31, 1);
    cmp.setApplicableSections([8]);
    cmp.setFieldValue("usca", "SaleOptOut", 2);
    cmp.setCmpDisplayStatus("visible");
    dispatchEvent(new Event("load"));
  });
  await until(() => site.of(SIGNALS).length === 1, "the file");
  await sleep(QUIET_MS);
  assert.deepEqual(posts(), [], "not while the visitor is asked");
  const first = await tab.evaluate(() => {
    cmp.setCmpDisplayStatus("hidden");
    cmp.setSignalStatus("ready");
    return cmp.getGppString();
  });
  await until(() => posts().length === 1, "the string");
  const second = await tab.evaluate(() => {
    cmp.setSignalStatus("not ready");
    cmp.setFieldValue("usca", "SaleOptOut", 1);
    cmp.fireSectionChange("usca");
    cmp.setSignalStatus("ready");
    return cmp.getGppString();
  });
  await until(() => posts().length === 2, "the change");
  assert.notEqual(first, second);
  assert.deepEqual(strings(), [{ gpp: first }, { gpp: second }]);
});

test("GPP: where no section applies, nothing is handed over", async () => {
  await open();
  await tab.evaluate(() => {
    const cmp = new GppApi(31, 1);
    cmp.setApplicableSections([-1]);
    cmp.setSignalStatus("ready");
    dispatchEvent(new Event("load"));
  });
  await until(() => site.of(SIGNALS).length === 1, "the file");
  await sleep(QUIET_MS);
  assert.deepEqual(posts(), []);
});

test("GPP: a platform that takes the place of its stand-in is heard", async () => {
  await open({
    setUp: () => {
      // As the stand-ins do: listeners are kept in a list of their own.
      window.__gpp = (command, callback) => {
        if (!command) return [];
        callback({ pingData: { signalStatus: "not ready", cmpStatus: "stub" } }, true);
      };
    },
  });
  await until(() => site.of(SIGNALS).length === 1, "the file");
  await tab.evaluate(() => {
    const cmp = new GppApi(31, 1);
    cmp.setApplicableSections([8]);
    cmp.setFieldValue("usca", "SaleOptOut", 1);
    cmp.setSignalStatus("ready");
  });
  await until(() => posts().length === 1, "the string");
});

test("US Privacy: the string goes to the edge; one that does not apply does not", async () => {
  await open({
    setUp: () => {
      window.usp = "1---";
      window.__uspapi = (_command, _version, callback) => callback({ uspString: window.usp }, true);
    },
  });
  await until(() => site.of(SIGNALS).length === 1, "the file");
  await sleep(QUIET_MS);
  assert.deepEqual(posts(), []);
  await tab.evaluate(() => {
    window.usp = "1YYN";
  });
  await tab.click("html");
  await until(() => posts().length === 1, "the string");
  assert.deepEqual(strings(), [{ usPrivacy: "1YYN" }]);
});

test("Google: what the visitor chose is handed over, the site's default is not", async () => {
  const gtag = () => {
    window.dataLayer = [];
    window.gtag = function gtag() {
      // biome-ignore lint/complexity/noArguments: as Google's own snippet does.
      window.dataLayer.push(arguments);
    };
    window.gtag("consent", "default", { analytics_storage: "granted", ad_storage: "denied" });
  };
  await open({ setUp: gtag });
  await until(() => site.of(SIGNALS).length === 1, "the file");
  await sleep(QUIET_MS);
  assert.deepEqual(posts(), []);
  await tab.evaluate(() => {
    gtag("consent", "update", {
      analytics_storage: "granted",
      ad_storage: "maybe",
      mine: "granted",
    });
    gtag("event", "page_view", {});
  });
  await until(() => posts().length === 1, "the update");
  await tab.evaluate(() => gtag("consent", "update", { analytics_storage: "denied" }));
  await until(() => posts().length === 2, "the withdrawal");
  assert.deepEqual(strings(), [
    { google: { analytics_storage: "granted", ad_storage: "denied" } },
    { google: { analytics_storage: "denied", ad_storage: "denied" } },
  ]);
});

const told = () =>
  tab.evaluate(() =>
    (window.dataLayer ?? []).map((entry) => {
      const [, command, keys] = entry;
      const granted = Object.keys(keys).filter((key) => keys[key] === "granted");
      return { command, granted, region: keys.region, wait: keys.wait_for_update };
    }),
  );
const KEYS = [
  "ad_storage",
  "ad_user_data",
  "ad_personalization",
  "analytics_storage",
  "functionality_storage",
  "personalization_storage",
  "security_storage",
];

test("Google's tags are told: first no, then what the edge allows, then changes", async () => {
  const first = '<script src="/_selvedge/stub.js" data-google="US CA-ON"></script>';
  await open({ first, from: consent(["store", "measure"]) });
  await until(async () => (await told()).length === 3, "the update");
  const security = "security_storage";
  assert.deepEqual(await told(), [
    { command: "default", granted: [security], region: undefined, wait: 500 },
    { command: "default", granted: KEYS, region: ["US", "CA-ON"], wait: 500 },
    {
      command: "update",
      granted: ["analytics_storage", "functionality_storage", security],
      region: undefined,
      wait: undefined,
    },
  ]);
  kept = consent([]);
  await tab.evaluate(() => selvedge.consent({ store: false, measure: false }));
  await until(async () => (await told()).at(-1).granted.length === 1, "the withdrawal");
  assert.equal(posts().length, 1, "and what it is told is not taken for a platform's word");
});

test("Google's tags hear no yes for a region against Global Privacy Control", async () => {
  await context.addInitScript(() => {
    Object.defineProperty(Navigator.prototype, "globalPrivacyControl", { get: () => true });
  });
  const first = '<script src="/_selvedge/stub.js" data-google="US"></script>';
  await open({ first });
  const [, inUs] = await told();
  assert.deepEqual(inUs.granted, [
    "analytics_storage",
    "functionality_storage",
    "security_storage",
  ]);
});

test("Google's tags are told nothing where the site does not ask for it", async () => {
  kept = ALL;
  await open({ scripts: ["/tcf-stub.js"] });
  await until(() => site.of(SIGNALS).length === 1, "the file");
  await sleep(QUIET_MS);
  assert.deepEqual(await told(), []);
});

test("a file that hears platforms of which one byte was changed is refused", async () => {
  kept = ALL;
  site.answers[SIGNALS] = () => ({ headers: JS, body: "window.changed = true;" });
  await openTcf(NOTHING);
  await until(() => site.of(SIGNALS).length === 1, "the file");
  await sleep(QUIET_MS);
  assert.equal(await tab.evaluate(() => window.changed), undefined);
});
