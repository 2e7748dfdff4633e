WITH living AS (
    SELECT objid::bigint AS claimant
    FROM pg_locks
    WHERE
        locktype = 'advisory'
        AND classid = $1
        AND objsubid = 2
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
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
