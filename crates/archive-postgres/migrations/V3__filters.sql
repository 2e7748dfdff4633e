-- Whatever the query language asks of a column is found by an index: what few calls have is not looked for in all. The
-- id comes second, so that what many calls have is read newest first.
CREATE INDEX exchange_owner ON exchange (lower(left(owner, 256)), id) WHERE owner IS NOT NULL;
CREATE INDEX exchange_provider ON exchange (lower(left(provider, 256)), id);
CREATE INDEX exchange_path ON exchange (lower(left(path, 256)), id);
CREATE INDEX exchange_dialect ON exchange (dialect, id);
CREATE INDEX exchange_duration ON exchange (duration_us, id) WHERE duration_us IS NOT NULL;
CREATE INDEX exchange_tokens ON exchange (total_tokens, id) WHERE total_tokens IS NOT NULL;
CREATE INDEX exchange_cost ON exchange (cost_micros, id) WHERE cost_micros IS NOT NULL;

-- Nearly all calls are these: an index of the others costs nothing.
CREATE INDEX exchange_method ON exchange (lower(left(method, 256)), id) WHERE lower(left(method, 256)) <> 'post';
CREATE INDEX exchange_status ON exchange (status, id) WHERE status <> 200;
