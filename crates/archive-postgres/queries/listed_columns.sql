-- The order of columns is what `columns::read` expects.
    e.id, e.began_us, e.outcome, e.integrity, e.dialect, e.status, e.streamed, e.duration_us, e.total_tokens,
    e.cost_micros, e.method, e.path, e.provider, e.model_asked, e.model_served, e.app, e.project, e.key,
    e.owner, e.session, e.error, e.tags, e.tools_called, e.gateway, e.record, e.client_address, e.credential,
    e.provider_dialect, e.provider_request_id, e.trace_id, e.finish_reason, e.first_byte_us, e.first_token_us,
    e.relay_us, e.input_tokens, e.output_tokens, e.cache_read_tokens, e.cache_write_tokens, e.reasoning_tokens,
    e.provenance, e.stated_cost_micros, e.price_version, e.asked_preview, e.answered_preview, e.request_bytes,
    e.response_bytes, e.lost_bytes
