DELETE FROM open_exchange
WHERE id IN (
    SELECT o.id
    FROM open_exchange AS o
    WHERE
        o.id = ANY($1::uuid[])
        AND (
            EXISTS (SELECT FROM exchange AS e WHERE e.id = o.id AND e.rank > 1)
            OR EXISTS (SELECT FROM exchange_stray AS e WHERE e.id = o.id AND e.rank > 1)
        )
    ORDER BY o.id
    FOR UPDATE
)
