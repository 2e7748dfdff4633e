INSERT INTO rollup (
    start, provider, model, outcome, span, calls, duration_us, input_tokens, output_tokens, cache_read_tokens,
    cost_micros, estimated, lost_bytes, durations, first_tokens
)
SELECT new.start, new.provider, new.model, new.outcome, $5, new.calls, new.duration_us, new.input_tokens,
    new.output_tokens, new.cache_read_tokens, new.cost_micros, new.estimated, new.lost_bytes, new.durations,
    new.first_tokens
FROM unnest(
    $1::bigint[], $2::text[], $3::text[], $4::smallint[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
    $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bytea[], $15::bytea[]
) AS new (
    start, provider, model, outcome, calls, duration_us, input_tokens, output_tokens, cache_read_tokens, cost_micros,
    estimated, lost_bytes, durations, first_tokens
)
ON CONFLICT (span, start, provider, model, outcome) DO UPDATE SET
    calls = excluded.calls,
    duration_us = excluded.duration_us,
    input_tokens = excluded.input_tokens,
    output_tokens = excluded.output_tokens,
    cache_read_tokens = excluded.cache_read_tokens,
    cost_micros = excluded.cost_micros,
    estimated = excluded.estimated,
    lost_bytes = excluded.lost_bytes,
    durations = excluded.durations,
    first_tokens = excluded.first_tokens
