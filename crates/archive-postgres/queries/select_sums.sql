-- The order of columns is what `rollup::read` expects, then start, provider, model, outcome, taken. OFFSET 0 keeps each
-- run a range of the index: joined by their spans alone, thousands of runs would each look at every sum.
WITH run AS MATERIALIZED (
    SELECT span, start, stop
    FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS r (span, start, stop)
)

SELECT
    s.calls, s.duration_us, s.input_tokens, s.output_tokens, s.cache_read_tokens, s.cost_micros, s.estimated,
    s.lost_bytes, s.durations, s.first_tokens, s.start, s.provider, s.model, s.outcome, false AS taken
FROM run
CROSS JOIN LATERAL (
    SELECT r.*
    FROM rollup AS r
    WHERE
        r.span = run.span
        AND r.start >= run.start
        AND r.start < run.stop
        AND ($4::text IS NULL OR r.provider = $4)
        AND ($5::text IS NULL OR r.model = $5)
    OFFSET 0
) AS s
UNION ALL
SELECT
    d.calls, d.duration_us, d.input_tokens, d.output_tokens, d.cache_read_tokens, d.cost_micros, d.estimated,
    d.lost_bytes, d.durations, d.first_tokens, d.start, d.provider, d.model, d.outcome, d.taken
FROM rollup_delta AS d
WHERE
    d.start >= (SELECT min(start) FROM run)
    AND d.start < (SELECT max(stop) FROM run)
    AND ($4::text IS NULL OR d.provider = $4)
    AND ($5::text IS NULL OR d.model = $5)
ORDER BY taken
