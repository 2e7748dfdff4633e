INSERT INTO open_exchange AS old (id, gateway, sequence)
SELECT new.id, new.gateway, new.sequence
FROM unnest($1::uuid[], $2::text[], $3::bigint[]) AS new (id, gateway, sequence)
WHERE
    NOT EXISTS (SELECT FROM exchange AS e WHERE e.id = new.id AND e.rank > 1)
    AND NOT EXISTS (SELECT FROM exchange_stray AS e WHERE e.id = new.id AND e.rank > 1)
    AND new.id > (SELECT erased_through FROM tombstone)
ORDER BY new.id
ON CONFLICT (id) DO UPDATE SET
    gateway = excluded.gateway,
    sequence = CASE
        WHEN $4::boolean THEN greatest(old.sequence, excluded.sequence)
        ELSE least(old.sequence, excluded.sequence)
    END
