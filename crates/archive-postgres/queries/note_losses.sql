WITH seen AS (
    SELECT id, part = $3 AND captured > 0 AS lost
    FROM exchange
    WHERE id > $1 AND id < $2
    ORDER BY id
    LIMIT $4
),

made AS (
    INSERT INTO outbox (number, id)
    SELECT nextval('outbox_rebuild'), id
    FROM (SELECT id FROM seen WHERE lost ORDER BY id) AS sorted
    RETURNING number
)

SELECT (SELECT count(*) FROM seen), (SELECT max(id::text)::uuid FROM seen), (SELECT count(*) FROM made)
