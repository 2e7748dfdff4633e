SELECT
    calls, duration_us, input_tokens, output_tokens, cache_read_tokens, cost_micros, estimated, lost_bytes,
    durations, first_tokens, start, outcome, provider, model
FROM rollup
WHERE
    span = ?1
    AND start >= ?2
    AND start < ?3
    AND (?4 IS NULL OR provider = ?4)
    AND (?5 IS NULL OR model = ?5)
ORDER BY start
