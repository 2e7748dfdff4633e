-- How many records lose their bodies with these buckets. A week is counted from the Unix epoch.
WITH gone AS (
    SELECT t.day, t.part, t.bodies
    FROM total AS t
    JOIN unnest($1::integer[], $2::integer[]) AS b (week, part)
        ON (t.day - date '1970-01-01') / 7 = b.week AND t.part = b.part
),

forgotten AS (
    UPDATE total AS t SET bodies = 0
    FROM gone AS g
    WHERE t.day = g.day AND t.part = g.part
)

SELECT coalesce(sum(bodies), 0)::bigint
FROM gone
