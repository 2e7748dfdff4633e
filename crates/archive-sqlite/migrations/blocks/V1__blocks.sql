-- Blocks in the order they came; a record refers to them by number.
CREATE TABLE block (
    number INTEGER PRIMARY KEY,
    data   BLOB NOT NULL
);

-- Where a block of a tenant is, for those that may come again. The address is a hash of tenant and bytes.
CREATE TABLE block_address (
    address BLOB    NOT NULL PRIMARY KEY,
    block   INTEGER NOT NULL
) WITHOUT ROWID;
