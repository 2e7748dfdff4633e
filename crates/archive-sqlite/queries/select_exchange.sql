-- The order of columns is what `columns::read` expects.
SELECT
    e.id, e.began_us, e.outcome, e.integrity, e.dialect, e.status, e.streamed, e.duration_us, e.total_tokens,
    e.cost_micros, e.method, e.path, e.provider, e.model_asked, e.model_served, e.app, e.project, e.key, e.owner,
    e.session, e.error, e.tags, e.tools_called, d.gateway, d.record, d.client_address, d.credential,
    d.provider_dialect, d.provider_request_id, d.trace_id, d.finish_reason, d.first_byte_us, d.first_token_us,
    d.relay_us, d.input_tokens, d.output_tokens, d.cache_read_tokens, d.cache_write_tokens, d.reasoning_tokens,
    d.provenance, d.stated_cost_micros, d.price_version, d.asked_preview, d.answered_preview, d.request_bytes,
    d.response_bytes, d.lost_bytes, d.heads
FROM $exchange AS e
JOIN exchange_detail AS d ON d.number = e.detail
WHERE e.id = ?1
