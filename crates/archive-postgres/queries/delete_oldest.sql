-- A range of the index up to the last of so many: joined by their ids, all records would be read to find them.
WITH gone AS (
    DELETE FROM exchange
    WHERE
        id >= $1
        AND id <= $2
        AND id <= (
            SELECT oldest.id
            FROM (SELECT id FROM exchange WHERE id >= $1 AND id <= $2 ORDER BY id LIMIT $3) AS oldest
            ORDER BY oldest.id DESC
            LIMIT 1
        )
    RETURNING part, captured
),

noted AS (
    INSERT INTO total_delta (day, part, exchanges, bodies, captured)
    SELECT $4, part, -count(*), -count(*) FILTER (WHERE captured > 0), -sum(captured)
    FROM gone
    GROUP BY part
)

SELECT count(*)
FROM gone
