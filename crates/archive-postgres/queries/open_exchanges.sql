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

INSERT INTO open_exchange AS old (id, gateway, sequence)
SELECT new.id, new.gateway, new.sequence
FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS new (id, gateway, sequence)
WHERE
    new.id NOT IN (SELECT a.id FROM archived AS a)
    AND new.id > (SELECT erased_through FROM tombstone)
ORDER BY new.id
ON CONFLICT (id) DO UPDATE SET
    gateway = excluded.gateway,
    sequence = CASE
        WHEN $4::boolean THEN greatest(old.sequence, excluded.sequence)
        ELSE least(old.sequence, excluded.sequence)
    END
