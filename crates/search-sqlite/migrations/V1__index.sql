-- One row an exchange. `rowid` is made from the millisecond in the exchange's id and a number within it (see
-- place.rs), so that rows and postings stand in the order in which they are listed.

CREATE TABLE doc (
    rowid INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    began_us INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    status INTEGER,
    dialect INTEGER NOT NULL,
    streamed INTEGER NOT NULL,
    total_tokens INTEGER,
    cost_micros INTEGER,
    duration_us INTEGER,
    provider TEXT,
    model_asked TEXT,
    model_served TEXT,
    method TEXT,
    path TEXT,
    error TEXT,
    app TEXT,
    project TEXT,
    key TEXT,
    owner TEXT,
    session TEXT,
    tags TEXT,
    tools_called TEXT
);

-- The text as it was, compressed, for highlights. A table of its own keeps the rows that filters look through small.
CREATE TABLE body (
    rowid INTEGER PRIMARY KEY,
    text BLOB NOT NULL
);

-- The words. The text that is handed in is already cut into tokens that hold nothing but letters and digits, with a
-- space between them, so that the simplest of tokenizers does. Nothing reads it back.
CREATE VIRTUAL TABLE words USING fts5(
    text,
    content='',
    contentless_delete=1,
    tokenize='ascii'
);

-- What is known of the index as a whole. One row.
CREATE TABLE state (
    -- Whether every record of the archive was, or is waiting to be, written to it.
    complete INTEGER NOT NULL,
    -- How many rows `doc` has: counting them would read them all.
    documents INTEGER NOT NULL
);
INSERT INTO state (complete, documents) VALUES (0, 0);
