INSERT OR REPLACE INTO rollup (
    span, start, provider, model, outcome, calls, duration_us, input_tokens, output_tokens, cache_read_tokens,
    cost_micros, estimated, lost_bytes, durations, first_tokens
)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
