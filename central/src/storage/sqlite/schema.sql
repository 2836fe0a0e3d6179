-- The first schema. The tenant leads every key; profile names are keyed hashes.
CREATE TABLE people (
    tenant TEXT NOT NULL,
    person TEXT NOT NULL,
    customer_id TEXT,
    active INTEGER NOT NULL DEFAULT 0,
    since INTEGER NOT NULL,
    PRIMARY KEY (tenant, person)
) STRICT, WITHOUT ROWID;

CREATE TABLE traits (
    tenant TEXT NOT NULL,
    person TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT,
    time INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    PRIMARY KEY (tenant, person, name)
) STRICT, WITHOUT ROWID;

-- origin: `edge`, or `import`; each has its own space of ids, so that a page, whose key is public,
-- cannot occupy the id of an imported row.
CREATE TABLE events (
    tenant TEXT NOT NULL,
    origin TEXT NOT NULL,
    key BLOB NOT NULL,
    id TEXT NOT NULL,
    owner TEXT NOT NULL,
    producer TEXT NOT NULL,
    source TEXT NOT NULL,
    device TEXT,
    claimed TEXT,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    time INTEGER NOT NULL,
    accepted INTEGER NOT NULL,
    properties TEXT NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (tenant, origin, key)
) STRICT;
CREATE INDEX events_owner ON events (tenant, owner, origin, name, time, key);
CREATE INDEX events_claimed ON events (tenant, claimed) WHERE claimed IS NOT NULL;

-- Imported rows that are no events, so that the same file counts once.
CREATE TABLE messages (
    tenant TEXT NOT NULL,
    key BLOB NOT NULL,
    person TEXT NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_person ON messages (tenant, person);

CREATE TABLE facts (
    tenant TEXT NOT NULL,
    producer TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (tenant, producer, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE links (
    tenant TEXT NOT NULL,
    person TEXT NOT NULL,
    seq INTEGER NOT NULL,
    linked INTEGER NOT NULL,
    device TEXT NOT NULL,
    object TEXT,
    attached INTEGER NOT NULL,
    evidence TEXT NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (tenant, person, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX links_object ON links (tenant, object);

CREATE TABLE receipts (
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    producer TEXT NOT NULL,
    seq INTEGER NOT NULL,
    time INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, owner, producer, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE metrics (
    tenant TEXT NOT NULL,
    event TEXT NOT NULL,
    property TEXT NOT NULL,
    PRIMARY KEY (tenant, event, property)
) STRICT, WITHOUT ROWID;

-- What changed, not how: the body is read when it is sent, so that one row per person and kind is
-- enough, and an erased person leaves no copy here.
CREATE TABLE changes (
    tenant TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    person TEXT NOT NULL,
    kind TEXT NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (tenant, cursor),
    UNIQUE (tenant, person, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

-- Peppered keys of erased identifiers, and the profiles that never come back.
CREATE TABLE tombstones (
    tenant TEXT NOT NULL,
    key BLOB NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE buried (
    tenant TEXT NOT NULL,
    profile TEXT NOT NULL,
    time INTEGER NOT NULL,
    PRIMARY KEY (tenant, profile)
) STRICT, WITHOUT ROWID;

-- What proof demands of an erased person's consent: choices without device and evidence, under the
-- erasure's id, which is a keyed hash.
CREATE TABLE stubs (
    tenant TEXT NOT NULL,
    erasure TEXT NOT NULL,
    chain TEXT NOT NULL,
    seq INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, erasure, chain, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE erasures (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    person TEXT NOT NULL,
    time INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    deleted TEXT NOT NULL,
    acknowledged INTEGER,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
