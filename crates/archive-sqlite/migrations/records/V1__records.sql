-- What is listed, filtered and sorted: narrow, clustered by id, so that a page is one short walk. Texts compare
-- without regard to case, as the query language does.
-- `detail` is exchange_detail.number. `captured` is the bytes of all stored bodies, before pieces are shared; `part`
-- says which of its week's files of blocks they are in. `tags` and `tools_called` have each word between two line
-- feeds. (Comments stand before the statements: SQLite keeps what is inside them in every file.)
CREATE TABLE exchange (
    id           BLOB    NOT NULL PRIMARY KEY,
    rank         INTEGER NOT NULL,
    detail       INTEGER NOT NULL,
    captured     INTEGER NOT NULL,
    part         INTEGER NOT NULL,
    began_us     INTEGER NOT NULL,
    outcome      INTEGER NOT NULL,
    integrity    INTEGER NOT NULL,
    dialect      INTEGER NOT NULL,
    status       INTEGER,
    streamed     INTEGER NOT NULL,
    duration_us  INTEGER,
    total_tokens INTEGER,
    cost_micros  INTEGER,
    method       TEXT    NOT NULL COLLATE NOCASE,
    path         TEXT    NOT NULL COLLATE NOCASE,
    provider     TEXT    NOT NULL COLLATE NOCASE,
    model_asked  TEXT COLLATE NOCASE,
    model_served TEXT COLLATE NOCASE,
    app          TEXT COLLATE NOCASE,
    project      TEXT COLLATE NOCASE,
    key          TEXT COLLATE NOCASE,
    owner        TEXT COLLATE NOCASE,
    session      TEXT COLLATE NOCASE,
    error        TEXT COLLATE NOCASE,
    tags         TEXT COLLATE NOCASE,
    tools_called TEXT COLLATE NOCASE
) WITHOUT ROWID;

-- Each index costs every write; these are the conditions that would otherwise read every row to find a few.
CREATE INDEX exchange_session      ON exchange (session, id)      WHERE session IS NOT NULL;
CREATE INDEX exchange_model_asked  ON exchange (model_asked, id)  WHERE model_asked IS NOT NULL;
CREATE INDEX exchange_model_served ON exchange (model_served, id) WHERE model_served IS NOT NULL;
CREATE INDEX exchange_app          ON exchange (app, id)          WHERE app IS NOT NULL;
CREATE INDEX exchange_project      ON exchange (project, id)      WHERE project IS NOT NULL;
CREATE INDEX exchange_key          ON exchange (key, id)          WHERE key IS NOT NULL;
CREATE INDEX exchange_troubled ON exchange (id, outcome, status, error)
WHERE outcome <> 1 OR status >= 400 OR error IS NOT NULL;
CREATE INDEX exchange_tags ON exchange (id, tags) WHERE tags IS NOT NULL;

-- Records whose id does not tell when they were made: kept, found by id, never listed or counted.
CREATE TABLE exchange_stray (
    id           BLOB    NOT NULL PRIMARY KEY,
    rank         INTEGER NOT NULL,
    detail       INTEGER NOT NULL,
    captured     INTEGER NOT NULL,
    part         INTEGER NOT NULL,
    began_us     INTEGER NOT NULL,
    outcome      INTEGER NOT NULL,
    integrity    INTEGER NOT NULL,
    dialect      INTEGER NOT NULL,
    status       INTEGER,
    streamed     INTEGER NOT NULL,
    duration_us  INTEGER,
    total_tokens INTEGER,
    cost_micros  INTEGER,
    method       TEXT    NOT NULL,
    path         TEXT    NOT NULL,
    provider     TEXT    NOT NULL,
    model_asked  TEXT,
    model_served TEXT,
    app          TEXT,
    project      TEXT,
    key          TEXT,
    owner        TEXT,
    session      TEXT,
    error        TEXT,
    tags         TEXT,
    tools_called TEXT
) WITHOUT ROWID;

-- What is shown but not filtered by, in the order it was written. `heads` has heads, attempts, timelines and where the
-- bodies' pieces are.
CREATE TABLE exchange_detail (
    number              INTEGER PRIMARY KEY,
    gateway             TEXT    NOT NULL,
    record              INTEGER NOT NULL,
    client_address      TEXT,
    credential          TEXT,
    provider_dialect    INTEGER NOT NULL,
    provider_request_id TEXT,
    trace_id            TEXT,
    finish_reason       TEXT,
    first_byte_us       INTEGER,
    first_token_us      INTEGER,
    relay_us            INTEGER,
    input_tokens        INTEGER,
    output_tokens       INTEGER,
    cache_read_tokens   INTEGER,
    cache_write_tokens  INTEGER,
    reasoning_tokens    INTEGER,
    provenance          INTEGER,
    stated_cost_micros  INTEGER,
    price_version       TEXT,
    asked_preview       TEXT    NOT NULL,
    answered_preview    TEXT    NOT NULL,
    request_bytes       INTEGER NOT NULL,
    response_bytes      INTEGER NOT NULL,
    lost_bytes          INTEGER NOT NULL,
    heads               BLOB    NOT NULL
);

-- Sums over minutes, hours and days (`span`, in seconds); `start` is in seconds since the epoch.
CREATE TABLE rollup (
    span              INTEGER NOT NULL,
    start             INTEGER NOT NULL,
    provider          TEXT    NOT NULL,
    model             TEXT    NOT NULL,
    outcome           INTEGER NOT NULL,
    calls             INTEGER NOT NULL,
    duration_us       INTEGER NOT NULL,
    input_tokens      INTEGER NOT NULL,
    output_tokens     INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cost_micros       INTEGER NOT NULL,
    estimated         INTEGER NOT NULL,
    lost_bytes        INTEGER NOT NULL,
    durations         BLOB    NOT NULL,
    first_tokens      BLOB    NOT NULL,
    PRIMARY KEY (span, start, provider, model, outcome)
) WITHOUT ROWID;

-- Exchanges that the search index has yet to take.
CREATE TABLE outbox (
    number   INTEGER PRIMARY KEY,
    id       BLOB    NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0
);

-- Those that it can't take.
CREATE TABLE outbox_failed (
    number INTEGER PRIMARY KEY,
    id     BLOB    NOT NULL,
    reason TEXT    NOT NULL
);

CREATE TABLE open_exchange (
    id       BLOB    NOT NULL PRIMARY KEY,
    gateway  TEXT    NOT NULL,
    sequence INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX open_exchange_sequence ON open_exchange (sequence);

-- How much there is, and how far retention has come.
CREATE TABLE state (
    name  TEXT NOT NULL PRIMARY KEY,
    value      NOT NULL
) WITHOUT ROWID;

INSERT INTO state VALUES ('exchanges', 0), ('captured_bytes', 0);
