SELECT rank, captured, detail, status IS NOT NULL
FROM $exchange
WHERE id = ?1
