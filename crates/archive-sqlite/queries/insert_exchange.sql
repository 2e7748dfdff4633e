INSERT INTO $exchange (
    id, rank, detail, captured, part, began_us, outcome, integrity, dialect, status, streamed, duration_us,
    total_tokens, cost_micros, method, path, provider, model_asked, model_served, app, project, key, owner, session, error, tags,
    tools_called
)
VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24,
    ?25, ?26, ?27
)
ON CONFLICT (id) DO NOTHING
