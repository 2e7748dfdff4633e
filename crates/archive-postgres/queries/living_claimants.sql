SELECT objid::bigint AS claimant
FROM pg_locks
WHERE
    locktype = 'advisory'
    AND classid = $1
    AND objsubid = 2
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
