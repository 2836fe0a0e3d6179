//! Every bound of the core, with its reason. It must never know who applies one: a bound is a
//! number here and a refusal with a code where it is met.

/// Largest request body for one event. Segment's own limit, so that its SDKs split where we expect.
pub const EVENT_BYTES: usize = 32 * 1024;
/// Largest request body for a batch of events. Segment's own limit, for the same reason.
pub const BATCH_BYTES: usize = 500 * 1024;
/// Largest body of the visitor's small calls (consent, login, decide).
pub const CALL_BYTES: usize = 16 * 1024;
/// Largest body of a consent call: three consent strings of `bits::MAX_STRING_BYTES` and the rest.
pub const CONSENT_CALL_BYTES: usize = 3 * 64 * 1024 + CALL_BYTES;
/// Keys of Google's Consent Mode in one call. There are seven; Google adds one every few years.
pub const GOOGLE_KEYS: usize = 16;
/// Largest workspace source. A thousand offers in four languages take about a fifth of this.
pub const WORKSPACE_BYTES: usize = 8 * 1024 * 1024;
/// Largest body of one sync message, either way.
pub const SYNC_BYTES: usize = 4 * 1024 * 1024;
/// Mistakes of one workspace that are told at once; of more only the number.
pub const MISTAKES: usize = 500;
/// Bytes of a name that the workspace gives to an offer, a placement, an audience or a field: they
/// stand in every decision and every page.
pub const KEY_BYTES: usize = 64;
/// Languages of one workspace. More than any shop offers; bounds the image with `OFFERS`.
pub const LANGUAGES: usize = 50;
/// Placements of one workspace. Each carries its own index over its offers.
pub const PLACEMENTS: usize = 200;
/// Placements that one offer may stand in.
pub const PLACEMENTS_PER_OFFER: usize = 16;
/// Audiences of one workspace.
pub const AUDIENCES: usize = 2_000;
/// Entries and exits of audiences that one turn tells; the others follow at once, in a turn of
/// their own, as if time had brought them. As many as one push to the central store takes.
pub const AUDIENCE_MOVES: usize = PUSH_FACTS;
/// Points in time ahead at which one turn looks whether somebody enters or leaves an audience
/// without doing anything; where there are more, it looks again at the last of them.
pub const AUDIENCE_LOOKS: usize = 16;
/// Pairs of a point in time and a length of time that one turn adds up for that. A workspace with
/// more is looked at every hour.
pub const AUDIENCE_PAIRS: usize = 4_096;
/// Computed traits of one workspace. Each is counted for every profile.
pub const COMPUTED: usize = 256;
/// Steps of one sequence: each is looked for among the entries of its series.
pub const SEQUENCE_STEPS: usize = 8;
/// Events that one workspace declares.
pub const EVENTS: usize = 1_000;
/// Caps of one offer.
pub const CAPS: usize = 8;
/// Weekly windows of one schedule.
pub const WEEKLY_WINDOWS: usize = 50;
/// Fields of one content.
pub const CONTENT_FIELDS: usize = 16;
/// Login keys of one workspace: the current one, the next one, and some for other apps.
pub const LOGIN_KEYS: usize = 16;
/// Entries of the workspace's own lists of blocked values and of regions.
pub const SETTINGS_ENTRIES: usize = 1_000;
/// Longest sliding window or cool-down.
pub const WINDOW_MS: i64 = 3_660 * 24 * 60 * 60 * 1_000;
/// JSON nesting that is read at all; deeper input is refused before a parser sees it.
pub const JSON_DEPTH: usize = 32;
/// Events in one batch. Bounds the time one object spends on one caller.
pub const BATCH_EVENTS: usize = 500;
/// Bytes of an event's name, a trait's name, a property's name.
pub const NAME_BYTES: usize = 200;
/// Bytes of an event's id. Segment's SDKs send 36 to 60.
pub const EVENT_ID_BYTES: usize = 100;
/// Bytes of one text value. Longer ones are free text, which no condition should read.
pub const TEXT_BYTES: usize = 4 * 1024;
/// Properties of one event and traits of one call.
pub const PROPERTIES: usize = 256;
/// Entries of one list value.
pub const LIST_ENTRIES: usize = 256;
/// Bytes of an identifier (DESIGN.md section 6).
pub const IDENTIFIER_BYTES: usize = 256;

/// Customer ids per person, ever: two of them are two people until somebody says otherwise.
pub const CUSTOMER_IDS: usize = 1;
/// E-mail addresses per person and year: more is a shared mailbox or an attack.
pub const EMAILS_PER_YEAR: usize = 5;
/// Devices per person and year: more is a till, a library computer or a bot.
pub const DEVICES_PER_YEAR: usize = 10;
/// Identifiers of any kind per person.
pub const IDENTIFIERS: usize = 50;
/// Links per person: the length of the replay.
pub const LINKS: usize = 100;
/// Merges into one person per hour: merge storms are poisoning.
pub const MERGES_PER_HOUR: usize = 5;
/// Unverified claims kept on one profile.
pub const CLAIMS: usize = 10;

/// Traits kept on one profile.
pub const TRAITS: usize = 256;
/// Entries with their own time that one series keeps; older ones fold into its total.
pub const SERIES_ENTRIES: usize = 512;
/// Hashes kept to count the different values of a property: as many as a series has entries, so
/// that a window is exact. Beyond, the standard error of the estimate is 1 in 22 (4.4 %).
pub const DISTINCT_VALUES: usize = SERIES_ENTRIES;
/// Runs of days kept for a streak. A late event, at most 31 days old, can still close a gap between
/// the last 16 runs; all others are over.
pub const STREAK_RUNS: usize = 32;
/// Times kept per offer and kind for caps; a cap above this is refused when published.
pub const HISTORY_TIMES: usize = 100;
/// Offers whose history one profile keeps; the longest unseen goes first.
pub const HISTORY_OFFERS: usize = 500;
/// Receipts kept at the edge; the central store keeps all.
pub const RECEIPTS: usize = 200;

/// Offers in a row of fallbacks.
pub const FALLBACKS: usize = 8;
/// Offers of one workspace with a budget: the edge asks which are spent every two seconds, and the
/// answer names each of them.
pub const BUDGETS: usize = 1_000;
/// The largest budget: JSON's whole numbers are exact up to here.
pub const BUDGET_MAX: u64 = 9_007_199_254_740_991;
/// Placements in one decide call.
pub const PLACEMENTS_PER_CALL: usize = 32;
/// Offers that a page may say to show already in one decide call; one per placement, and some more
/// where a placement stands several times.
pub const SHOWN_PER_CALL: usize = 200;
/// Offers of one workspace.
pub const OFFERS: usize = 10_000;
/// Bytes of queued facts per profile object; at the bound new events are refused with 503.
pub const OUTBOX_BYTES: usize = 4 * 1024 * 1024;
/// Facts in one push to the central store.
pub const PUSH_FACTS: usize = 200;
/// Changes in one message from the central store.
pub const CHANGES: usize = 500;

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// An event this much older than its arrival is stored but no longer counted at the edge, so that
/// duplicate keys need no longer life than this. The central store counts it whatever its age.
pub const EVENT_AGE_MS: i64 = 30 * DAY_MS;
/// A browser's clock may run ahead by this much; later times are set to the arrival.
pub const CLOCK_AHEAD_MS: i64 = 5 * MINUTE_MS;
/// History that a login may attach backwards (DESIGN.md section 6, rule 6).
pub const ATTACH_AGE_MS: i64 = 30 * DAY_MS;
/// A second person on one device within this time makes the device `shared` (rule 5).
pub const SHARED_DEVICE_MS: i64 = 90 * DAY_MS;
/// Life of the device cookie; browsers cap it here (RFC 6265bis, section 5.5).
pub const COOKIE_AGE_MS: i64 = 400 * DAY_MS;
/// Inactivity that ends a session, as web analytics commonly counts it.
pub const SESSION_MS: i64 = 30 * MINUTE_MS;
/// How long a login proves who is in front of the screen; afterwards the device is `recognised`.
pub const AUTHENTICATED_MS: i64 = 30 * MINUTE_MS;
/// Longest life of a login token that is accepted, whatever it claims.
pub const TOKEN_AGE_MS: i64 = 15 * MINUTE_MS;
/// Difference between the clocks of token issuer and edge that is forgiven.
pub const TOKEN_SKEW_MS: i64 = 30 * SECOND_MS;
/// Bytes of a login token.
pub const TOKEN_BYTES: usize = 4 * 1024;
/// How long a preview's link is good for: to look at a page, and to show it to a colleague.
pub const PREVIEW_MS: i64 = HOUR_MS;
/// How long a page may decide from one slice before it asks for a new one.
pub const SLICE_AGE_MS: i64 = 15 * MINUTE_MS;
/// The same where an offer of the page has a budget: what a page may show beyond it is bounded by
/// this (docs/reference/offers.md).
pub const BUDGET_SLICE_MS: i64 = MINUTE_MS;
/// First wait before a failed push is tried again; doubled each time.
pub const RETRY_FIRST_MS: i64 = SECOND_MS;
/// Longest wait before a failed push is tried again.
pub const RETRY_LAST_MS: i64 = 5 * MINUTE_MS;
/// How often the edge asks for changes that a push did not bring.
pub const HEAL_MS: i64 = 15 * SECOND_MS;
/// One day, for windows and caps.
pub const DAY: i64 = DAY_MS;
/// One year, for the yearly limits on identifiers.
pub const YEAR: i64 = 365 * DAY_MS;
/// One hour, for the hourly limit on merges.
pub const HOUR: i64 = HOUR_MS;
/// Experiments of one workspace, and holdouts: each costs a hash per decision that asks for it.
pub const EXPERIMENTS: usize = 1_000;
/// Variants of one experiment.
pub const VARIANTS: usize = 32;
/// Variants that one preview forces.
pub const PREVIEW_VARIANTS: usize = 16;
/// Experiments in a row of prerequisites.
pub const PREREQUISITES: usize = 8;

/// Bytes of one condition's source. The longest that we saw in the wild took about two thousand.
pub const CONDITION_BYTES: usize = 16 * 1024;
/// Brackets within brackets in a condition, and conditionals within conditionals. CEL asks for at
/// least 12.
pub const CONDITION_NESTING: usize = 64;
/// Levels of a condition's tree; `a + b + c` has one more for each term.
pub const CONDITION_HEIGHT: usize = 128;
/// Levels of a condition with those of the audiences that it asks for.
pub const CONDITION_LEVELS: u32 = 250;
/// Levels that are evaluated: twice what the compiler lets pass, so that only a damaged image
/// meets it.
pub const CONDITION_DEPTH: u32 = 512;
/// Steps that one predicate may take: list entries looked at, sixteenths of texts, nodes. A
/// condition over the longest list that is kept takes a few hundred.
pub const CONDITION_STEPS: usize = 100_000;
/// Numbers of one pattern's program: a pattern in a condition takes a few dozen to a few hundred.
pub const PATTERN_NUMBERS: usize = 4_000;
/// Groups within groups of a pattern.
pub const PATTERN_NESTING: usize = 32;
/// Repetitions that a pattern writes out, as in RE2.
pub const PATTERN_REPEATS: u32 = 1_000;
/// As many questions a page or an evaluator answers by trying each offer: one that starts for a
/// question or two should not wait for an index, which takes some milliseconds for a thousand
/// offers; to try them takes a fraction of one.
pub const PLAIN_QUESTIONS: usize = 16;
/// Rules of one block of an index. A row of a table takes 128 bytes then, and the words that a
/// decision reads first take one cache line.
pub const INDEX_BLOCK: usize = 1_024;
/// Rows of one table of an index; the predicates beyond are asked of the rules that are left
/// instead, so that memory grows with the number of rules whatever they look at.
pub const INDEX_ROWS: u32 = 1_024;
/// Conjuncts of one rule, with those of the audiences that it requires, that an index looks into.
pub const INDEX_CONJUNCTS: usize = 256;
