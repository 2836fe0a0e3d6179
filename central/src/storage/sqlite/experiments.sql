-- What the edge declares, and what is counted against it.
CREATE TABLE documents (
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

-- Contacts with offers that have a budget, per day of the budget's zone: numbers, and no person, so
-- that an erasure neither needs to come here nor gives a budget back.
CREATE TABLE contacts (
    tenant TEXT NOT NULL,
    offer TEXT NOT NULL,
    contact TEXT NOT NULL,
    day INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (tenant, offer, contact, day)
) STRICT, WITHOUT ROWID;

-- Exposures are ordinary events, so that consent and erasure reach them like any other; this only
-- finds them.
CREATE INDEX events_exposed ON events (tenant, owner, time) WHERE name = 'Experiment Viewed';
