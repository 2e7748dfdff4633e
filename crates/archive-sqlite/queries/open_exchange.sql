INSERT INTO open_exchange (id, gateway, sequence)
SELECT ?1, ?2, ?3
WHERE
    NOT EXISTS (SELECT 1 FROM exchange WHERE id = ?1 AND rank > 1)
    AND NOT EXISTS (SELECT 1 FROM exchange_stray WHERE id = ?1 AND rank > 1)
    AND NOT EXISTS (SELECT 1 FROM state WHERE name = 'erased_through' AND value >= ?1)
ON CONFLICT (id) DO UPDATE SET
    gateway = excluded.gateway,
    sequence = CASE WHEN ?4 THEN max(sequence, excluded.sequence) ELSE min(sequence, excluded.sequence) END
