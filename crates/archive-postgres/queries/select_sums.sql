-- The order of columns is what `rollup::read` expects, then start, provider, model, outcome, taken.
WITH run AS MATERIALIZED (
    SELECT span, start, stop
    FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) AS r (span, start, stop)
)

SELECT
    r.calls, r.duration_us, r.input_tokens, r.output_tokens, r.cache_read_tokens, r.cost_micros, r.estimated,
    r.lost_bytes, r.durations, r.first_tokens, r.start, r.provider, r.model, r.outcome, false AS taken
FROM run
JOIN rollup AS r ON r.span = run.span AND r.start >= run.start AND r.start < run.stop
WHERE
    ($4::text IS NULL OR r.provider = $4)
    AND ($5::text IS NULL OR r.model = $5)
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
