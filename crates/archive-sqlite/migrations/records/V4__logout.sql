-- Logins at the dashboard that were ended before their time, each until it would have ended by itself (microseconds since
-- the Unix epoch).
CREATE TABLE logout (
    number   INTEGER PRIMARY KEY,
    until_us INTEGER NOT NULL
);
