-- Numbers are those of the model's closed sets; times are microseconds since the Unix epoch. Names compare by their
-- bytes ("C"), so that what an index holds does not hang on the system's locale; lower() then knows ASCII.

-- What a record was counted as: kept beside the record that replaced it, so that sums lose the one and gain the other
-- in the transaction that replaced it.
CREATE TYPE counted AS (
    began_us bigint, outcome smallint, provider text, model text, duration_us bigint, first_token_us bigint,
    input_tokens bigint, output_tokens bigint, cache_read_tokens bigint, cost_micros bigint, estimated boolean,
    lost_bytes bigint, captured bigint, part integer
);

-- One row an exchange. Its id begins with the millisecond at which it was minted, so a range of ids is a day, and a
-- partition. `captured` is the bytes of all stored bodies, before blocks are shared; `part` says which of its week's
-- buckets they are in; `heads` has heads, attempts, timelines and where the bodies' pieces are. `tags` and
-- `tools_called` have each word between two line feeds. `prior` is what the record was counted as that this replaced.
CREATE TABLE exchange (
    id                  uuid NOT NULL,
    began_us            bigint NOT NULL,
    captured            bigint NOT NULL,
    duration_us         bigint,
    total_tokens        bigint,
    cost_micros         bigint,
    first_byte_us       bigint,
    first_token_us      bigint,
    relay_us            bigint,
    input_tokens        bigint,
    output_tokens       bigint,
    cache_read_tokens   bigint,
    cache_write_tokens  bigint,
    reasoning_tokens    bigint,
    stated_cost_micros  bigint,
    request_bytes       bigint NOT NULL,
    response_bytes      bigint NOT NULL,
    lost_bytes          bigint NOT NULL,
    status              integer,
    part                integer NOT NULL,
    rank                smallint NOT NULL,
    outcome             smallint NOT NULL,
    integrity           smallint NOT NULL,
    record              smallint NOT NULL,
    dialect             smallint NOT NULL,
    provider_dialect    smallint NOT NULL,
    provenance          smallint,
    streamed            boolean NOT NULL,
    gateway             text COLLATE "C" NOT NULL,
    method              text COLLATE "C" NOT NULL,
    path                text COLLATE "C" NOT NULL,
    provider            text COLLATE "C" NOT NULL,
    model_asked         text COLLATE "C",
    model_served        text COLLATE "C",
    app                 text COLLATE "C",
    project             text COLLATE "C",
    key                 text COLLATE "C",
    owner               text COLLATE "C",
    session             text COLLATE "C",
    error               text COLLATE "C",
    tags                text COLLATE "C",
    tools_called        text COLLATE "C",
    client_address      text COLLATE "C",
    credential          text COLLATE "C",
    provider_request_id text COLLATE "C",
    trace_id            text COLLATE "C",
    finish_reason       text COLLATE "C",
    price_version       text COLLATE "C",
    asked_preview       text COLLATE "C" NOT NULL,
    answered_preview    text COLLATE "C" NOT NULL,
    heads               bytea NOT NULL,
    prior               counted,
    PRIMARY KEY (id)
) PARTITION BY RANGE (id);

-- Compressed already.
ALTER TABLE exchange ALTER COLUMN heads SET STORAGE EXTERNAL;

-- Each index costs every write; these are the conditions that would otherwise read every row to find a few. An entry
-- of an index has a bounded size, what an application sends has not: the first 256 characters are indexed.
CREATE INDEX exchange_session ON exchange (lower(left(session, 256)), id) WHERE session IS NOT NULL;
CREATE INDEX exchange_model_asked ON exchange (lower(left(model_asked, 256)), id) WHERE model_asked IS NOT NULL;
CREATE INDEX exchange_model_served ON exchange (lower(left(model_served, 256)), id) WHERE model_served IS NOT NULL;
CREATE INDEX exchange_app ON exchange (lower(left(app, 256)), id) WHERE app IS NOT NULL;
CREATE INDEX exchange_project ON exchange (lower(left(project, 256)), id) WHERE project IS NOT NULL;
CREATE INDEX exchange_key ON exchange (lower(left(key, 256)), id) WHERE key IS NOT NULL;
CREATE INDEX exchange_troubled ON exchange (id) INCLUDE (outcome, status)
WHERE outcome <> 1 OR status >= 400 OR error IS NOT NULL;
CREATE INDEX exchange_tags ON exchange (id) WHERE tags IS NOT NULL;

-- Records whose id does not tell when they were made: kept, found by id, never listed or counted.
CREATE TABLE exchange_stray (LIKE exchange INCLUDING STORAGE, PRIMARY KEY (id));

-- The days that have a partition.
CREATE TABLE exchange_day (day date PRIMARY KEY);

-- Blocks, each with pieces of one tenant's bodies, compressed together. A bucket is week * 2^20 + part, the week
-- counted from the Unix epoch.
CREATE TABLE block (
    bucket bigint NOT NULL,
    number bigint NOT NULL,
    data   bytea  NOT NULL,
    PRIMARY KEY (bucket, number)
) PARTITION BY LIST (bucket);

ALTER TABLE block ALTER COLUMN data SET STORAGE EXTERNAL;

-- Writers take so many numbers at a time.
CREATE SEQUENCE block_number INCREMENT BY 1024;

-- Where a piece is that may come again: its block, and where it starts in the block's bytes. Its address is a hash of
-- tenant and bytes.
CREATE TABLE piece (
    bucket  bigint  NOT NULL,
    address uuid    NOT NULL,
    block   bigint  NOT NULL,
    start   integer NOT NULL,
    PRIMARY KEY (bucket, address)
) PARTITION BY LIST (bucket);

-- The buckets that have partitions.
CREATE TABLE bucket (bucket bigint PRIMARY KEY);

-- What was deleted: every record up to an id, and all bodies below a bucket. None of them comes back, whatever is
-- replayed or imported.
CREATE TABLE tombstone (
    one            boolean PRIMARY KEY DEFAULT true CHECK (one),
    erased_through uuid   NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    bodies_below   bigint NOT NULL DEFAULT 0
);

INSERT INTO tombstone DEFAULT VALUES;

-- How much there is, by day and part; and what commits added to it since it was last put together. Commits only ever
-- insert, so none waits for another.
CREATE TABLE total (
    day       date    NOT NULL,
    part      integer NOT NULL,
    exchanges bigint  NOT NULL,
    bodies    bigint  NOT NULL,
    captured  bigint  NOT NULL,
    PRIMARY KEY (day, part)
);

CREATE TABLE total_delta (
    day       date    NOT NULL,
    part      integer NOT NULL,
    exchanges bigint  NOT NULL,
    bodies    bigint  NOT NULL,
    captured  bigint  NOT NULL
);

-- Sums over minutes, hours and days (`span`, in seconds); `start` is in seconds since the epoch.
CREATE TABLE rollup (
    span              integer  NOT NULL,
    start             bigint   NOT NULL,
    provider          text     COLLATE "C" NOT NULL,
    model             text     COLLATE "C" NOT NULL,
    outcome           smallint NOT NULL,
    calls             bigint   NOT NULL,
    duration_us       bigint   NOT NULL,
    input_tokens      bigint   NOT NULL,
    output_tokens     bigint   NOT NULL,
    cache_read_tokens bigint   NOT NULL,
    cost_micros       bigint   NOT NULL,
    estimated         bigint   NOT NULL,
    lost_bytes        bigint   NOT NULL,
    durations         bytea    NOT NULL,
    first_tokens      bytea    NOT NULL,
    PRIMARY KEY (span, start, provider, model, outcome)
);

-- What commits changed in the sums of minutes since they were last folded in, in order; `taken` are to be subtracted.
CREATE TABLE rollup_delta (
    number            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    taken             boolean  NOT NULL,
    start             bigint   NOT NULL,
    provider          text     COLLATE "C" NOT NULL,
    model             text     COLLATE "C" NOT NULL,
    outcome           smallint NOT NULL,
    calls             bigint   NOT NULL,
    duration_us       bigint   NOT NULL,
    input_tokens      bigint   NOT NULL,
    output_tokens     bigint   NOT NULL,
    cache_read_tokens bigint   NOT NULL,
    cost_micros       bigint   NOT NULL,
    estimated         bigint   NOT NULL,
    lost_bytes        bigint   NOT NULL,
    durations         bytea    NOT NULL,
    first_tokens      bytea    NOT NULL
);

-- Exchanges that the search index has yet to take. Numbers from 2^40 on are of records just stored; those below are of
-- a rebuild, which they do not wait for. `claimant` has it, as long as that session lives. There is room in each page
-- for an entry to be claimed where it is.
CREATE SEQUENCE outbox_live MINVALUE 1099511627776;

CREATE SEQUENCE outbox_rebuild MAXVALUE 1099511627775;

CREATE TABLE outbox (
    number   bigint  PRIMARY KEY DEFAULT nextval('outbox_live'),
    id       uuid    NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    claimant integer
) WITH (fillfactor = 70);

CREATE SEQUENCE outbox_claimant AS integer CYCLE;

-- Those that it can't take.
CREATE TABLE outbox_failed (
    number bigint PRIMARY KEY,
    id     uuid   NOT NULL,
    reason text   NOT NULL
);

CREATE TABLE open_exchange (
    id       uuid   PRIMARY KEY,
    gateway  text   NOT NULL,
    sequence bigint NOT NULL
);

CREATE INDEX open_exchange_sequence ON open_exchange (sequence);
