WITH living AS (
    $living
),

free AS (
    SELECT number
    FROM outbox
    WHERE
        number >= $2
        AND number < $3
        AND (claimant IS NULL OR claimant NOT IN (SELECT l.claimant FROM living AS l))
    ORDER BY number
    LIMIT $4
    FOR UPDATE SKIP LOCKED
)

UPDATE outbox SET claimant = $5
WHERE number IN (SELECT number FROM free)
RETURNING number, id, failures
