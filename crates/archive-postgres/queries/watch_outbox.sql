WITH living AS (
    $living
)

UPDATE outbox_state
SET idle_since = CASE WHEN EXISTS (SELECT FROM living) THEN NULL ELSE coalesce(idle_since, now()) END
RETURNING
    kept,
    coalesce(idle_since < now() - $2::bigint * interval '1 millisecond', false),
    EXISTS (SELECT FROM outbox)
