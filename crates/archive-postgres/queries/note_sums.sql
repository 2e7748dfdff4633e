INSERT INTO rollup_delta (
    start, provider, model, outcome, taken, calls, duration_us, input_tokens, output_tokens, cache_read_tokens,
    cost_micros, estimated, lost_bytes, durations, first_tokens
)
SELECT *
FROM unnest(
    $1::bigint[], $2::text[], $3::text[], $4::smallint[], $5::boolean[], $6::bigint[], $7::bigint[], $8::bigint[],
    $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bytea[], $15::bytea[]
)
