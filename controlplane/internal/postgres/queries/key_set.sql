-- name: KeySet :one
SELECT signed FROM key_set ORDER BY place DESC LIMIT 1;

-- name: InsertKeySet :exec
INSERT INTO key_set (version, signed, created_at) VALUES (@version, @signed, @created_at);
