-- Whether commits make entries of the outbox (`kept`), and whether every record has had one (`complete`): nobody reads
-- them where there is no search index. `idle_since` is since when no claimant has lived.
CREATE TABLE outbox_state (
    one        boolean PRIMARY KEY DEFAULT true CHECK (one),
    kept       boolean NOT NULL,
    complete   boolean NOT NULL,
    idle_since timestamptz
);

INSERT INTO outbox_state (kept, complete)
SELECT there, there FROM (SELECT EXISTS (SELECT FROM exchange) AS there) AS archive;

-- Buckets whose bodies were deleted, and whose records have no entry in the outbox yet behind `after`.
CREATE TABLE body_loss (
    bucket bigint PRIMARY KEY,
    after  uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'
);
