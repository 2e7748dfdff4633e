SELECT
    calls, duration_us, input_tokens, output_tokens, cache_read_tokens, cost_micros, estimated, lost_bytes,
    durations, first_tokens
FROM rollup
WHERE span = ?1 AND start = ?2 AND provider = ?3 AND model = ?4 AND outcome = ?5
