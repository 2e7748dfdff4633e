WITH gone AS (
    DELETE FROM exchange
    WHERE id IN (SELECT id FROM exchange WHERE id >= $1 AND id <= $2 ORDER BY id LIMIT $3)
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
