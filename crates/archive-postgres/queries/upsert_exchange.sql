-- The rows come sorted by id: two writers whose batches overlap take the same rows in the same order. Which of two
-- records stays: the one of higher rank; of two checkpoints the one that holds more, bytes or the answer's head.
INSERT INTO $exchange AS old (
    id, began_us, captured, duration_us, total_tokens, cost_micros, first_byte_us, first_token_us, relay_us,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, stated_cost_micros,
    request_bytes, response_bytes, lost_bytes, status, part, rank, outcome, integrity, record, dialect,
    provider_dialect, provenance, streamed, gateway, method, path, provider, model_asked, model_served, app,
    project, key, owner, session, error, tags, tools_called, client_address, credential, provider_request_id,
    trace_id, finish_reason, price_version, asked_preview, answered_preview, heads
)
SELECT
    new.id, new.began_us, new.captured, new.duration_us, new.total_tokens, new.cost_micros, new.first_byte_us,
    new.first_token_us, new.relay_us, new.input_tokens, new.output_tokens, new.cache_read_tokens,
    new.cache_write_tokens, new.reasoning_tokens, new.stated_cost_micros, new.request_bytes, new.response_bytes,
    new.lost_bytes, new.status, new.part, new.rank, new.outcome, new.integrity, new.record, new.dialect,
    new.provider_dialect, new.provenance, new.streamed, new.gateway, new.method, new.path, new.provider,
    new.model_asked, new.model_served, new.app, new.project, new.key, new.owner, new.session, new.error,
    new.tags, new.tools_called, new.client_address, new.credential, new.provider_request_id, new.trace_id,
    new.finish_reason, new.price_version, new.asked_preview, new.answered_preview, new.heads
FROM unnest(
    $1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[],
    $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[],
    $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::integer[], $20::integer[], $21::smallint[],
    $22::smallint[], $23::smallint[], $24::smallint[], $25::smallint[], $26::smallint[], $27::smallint[],
    $28::boolean[], $29::text[], $30::text[], $31::text[], $32::text[], $33::text[], $34::text[], $35::text[],
    $36::text[], $37::text[], $38::text[], $39::text[], $40::text[], $41::text[], $42::text[], $43::text[],
    $44::text[], $45::text[], $46::text[], $47::text[], $48::text[], $49::text[], $50::text[], $51::bytea[]
) AS new (
    id, began_us, captured, duration_us, total_tokens, cost_micros, first_byte_us, first_token_us, relay_us,
    input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens, stated_cost_micros,
    request_bytes, response_bytes, lost_bytes, status, part, rank, outcome, integrity, record, dialect,
    provider_dialect, provenance, streamed, gateway, method, path, provider, model_asked, model_served, app,
    project, key, owner, session, error, tags, tools_called, client_address, credential, provider_request_id,
    trace_id, finish_reason, price_version, asked_preview, answered_preview, heads
)
ON CONFLICT (id) DO UPDATE SET
    (
        began_us, captured, duration_us, total_tokens, cost_micros, first_byte_us, first_token_us, relay_us,
        input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
        stated_cost_micros, request_bytes, response_bytes, lost_bytes, status, part, rank, outcome, integrity,
        record, dialect, provider_dialect, provenance, streamed, gateway, method, path, provider, model_asked,
        model_served, app, project, key, owner, session, error, tags, tools_called, client_address, credential,
        provider_request_id, trace_id, finish_reason, price_version, asked_preview, answered_preview, heads,
        prior
    ) = (
        excluded.began_us, excluded.captured, excluded.duration_us, excluded.total_tokens, excluded.cost_micros,
        excluded.first_byte_us, excluded.first_token_us, excluded.relay_us, excluded.input_tokens,
        excluded.output_tokens, excluded.cache_read_tokens, excluded.cache_write_tokens,
        excluded.reasoning_tokens, excluded.stated_cost_micros, excluded.request_bytes, excluded.response_bytes,
        excluded.lost_bytes, excluded.status, excluded.part, excluded.rank, excluded.outcome,
        excluded.integrity, excluded.record, excluded.dialect, excluded.provider_dialect, excluded.provenance,
        excluded.streamed, excluded.gateway, excluded.method, excluded.path, excluded.provider,
        excluded.model_asked, excluded.model_served, excluded.app, excluded.project, excluded.key,
        excluded.owner, excluded.session, excluded.error, excluded.tags, excluded.tools_called,
        excluded.client_address, excluded.credential, excluded.provider_request_id, excluded.trace_id,
        excluded.finish_reason, excluded.price_version, excluded.asked_preview, excluded.answered_preview,
        excluded.heads,
        ROW(
            old.began_us, old.outcome, old.provider, coalesce(old.model_served, old.model_asked, ''), old.duration_us,
            old.first_token_us, old.input_tokens, old.output_tokens, old.cache_read_tokens, old.cost_micros,
            coalesce(old.provenance = 1, false), old.lost_bytes, old.captured, old.part
        )::counted
    )
WHERE
    old.rank < excluded.rank
    OR (
        old.rank = 0
        AND excluded.rank = 0
        AND (old.captured, old.status IS NOT NULL) < (excluded.captured, excluded.status IS NOT NULL)
    )
RETURNING
    id, (prior).began_us, (prior).outcome, (prior).provider, (prior).model, (prior).duration_us,
    (prior).first_token_us, (prior).input_tokens, (prior).output_tokens, (prior).cache_read_tokens,
    (prior).cost_micros, (prior).estimated, (prior).lost_bytes, (prior).captured, (prior).part
