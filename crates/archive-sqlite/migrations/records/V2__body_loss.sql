-- Buckets whose bodies were deleted, and whose records have no entry in the outbox yet behind `after`.
CREATE TABLE body_loss (
    week  INTEGER NOT NULL,
    part  INTEGER NOT NULL,
    after BLOB    NOT NULL DEFAULT x'',
    PRIMARY KEY (week, part)
) WITHOUT ROWID;
