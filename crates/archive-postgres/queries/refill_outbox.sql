WITH next AS (
    SELECT id
    FROM exchange
    WHERE id < $1
    ORDER BY id DESC
    LIMIT $2
),

made AS (
    INSERT INTO outbox (number, id)
    SELECT nextval('outbox_rebuild'), id
    FROM (SELECT id FROM next ORDER BY id DESC) AS sorted
    RETURNING id
)

SELECT count(*), min(id::text)::uuid
FROM made
