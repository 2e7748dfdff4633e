INSERT OR REPLACE INTO exchange_detail (
    number, gateway, record, client_address, credential, provider_dialect, provider_request_id, trace_id,
    finish_reason, first_byte_us, first_token_us, relay_us, input_tokens, output_tokens, cache_read_tokens,
    cache_write_tokens, reasoning_tokens, provenance, stated_cost_micros, price_version, asked_preview,
    answered_preview, request_bytes, response_bytes, lost_bytes, heads
)
VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24,
    ?25, ?26
)
