-- Logins at the dashboard that were ended before their time, each until it would have ended by itself (microseconds since
-- the Unix epoch): whichever process is shown a copy of such a cookie refuses it.
CREATE TABLE logout (
    number   bigint PRIMARY KEY,
    until_us bigint NOT NULL
);
