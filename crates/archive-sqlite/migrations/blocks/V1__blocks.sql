-- Blocks in the order they came, each with pieces of one tenant's bodies, compressed together.
CREATE TABLE block (
    number INTEGER PRIMARY KEY,
    data   BLOB NOT NULL
);

-- Where a piece is that may come again: its block, and where it starts in the block's bytes. Its address is a hash of
-- tenant and bytes.
CREATE TABLE piece (
    address BLOB    NOT NULL PRIMARY KEY,
    block   INTEGER NOT NULL,
    start   INTEGER NOT NULL
) WITHOUT ROWID;
