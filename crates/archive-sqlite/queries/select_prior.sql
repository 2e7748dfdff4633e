SELECT rank, captured, detail
FROM $exchange
WHERE id = ?1
