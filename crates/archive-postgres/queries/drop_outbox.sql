WITH living AS (
    $living
)

UPDATE outbox_state SET kept = false, complete = false
WHERE kept AND idle_since < now() - $2::bigint * interval '1 millisecond' AND NOT EXISTS (SELECT FROM living)
