WITH noted AS (
    DELETE FROM total_delta RETURNING day, part, exchanges, bodies, captured
)
INSERT INTO total AS t (day, part, exchanges, bodies, captured)
SELECT day, part, sum(exchanges), sum(bodies), sum(captured)
FROM noted
GROUP BY day, part
ON CONFLICT (day, part) DO UPDATE SET
    exchanges = t.exchanges + excluded.exchanges,
    bodies = t.bodies + excluded.bodies,
    captured = t.captured + excluded.captured
