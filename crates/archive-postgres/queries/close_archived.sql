-- Records are looked up by the ids that are given, in whose partitions alone they can be.
WITH archived AS (
    SELECT id
    FROM exchange
    WHERE id = ANY($1::uuid[]) AND rank > 1
    UNION ALL
    SELECT id
    FROM exchange_stray
    WHERE id = ANY($1::uuid[]) AND rank > 1
)

DELETE FROM open_exchange
WHERE id IN (
    SELECT o.id
    FROM open_exchange AS o
    WHERE o.id = ANY($1::uuid[]) AND o.id IN (SELECT a.id FROM archived AS a)
    ORDER BY o.id
    FOR UPDATE
)
