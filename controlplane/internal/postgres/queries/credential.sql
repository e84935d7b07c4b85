-- name: InsertAPIKey :exec
INSERT INTO api_key (id, license, display_name, prefix, hash, expires_at, created_at)
VALUES (@id, @license, @display_name, @prefix, @hash, @expires_at, @created_at);

-- name: RevokeAPIKey :execrows
UPDATE api_key SET revoked_at = @revoked_at WHERE id = @id AND revoked_at IS NULL;

-- name: APIKey :one
SELECT * FROM api_key WHERE id = @id;

-- name: APIKeys :many
SELECT * FROM api_key
WHERE id > @after
  AND (sqlc.narg('license')::text IS NULL OR license = sqlc.narg('license'))
ORDER BY id
LIMIT @page_size;

-- name: InsertToken :exec
INSERT INTO api_token (id, display_name, role, hash, created_at)
VALUES (@id, @display_name, @role, @hash, @created_at);

-- name: RevokeToken :execrows
UPDATE api_token SET revoked_at = @revoked_at WHERE id = @id AND revoked_at IS NULL;

-- name: Token :one
SELECT * FROM api_token WHERE id = @id;

-- name: TokenByHash :one
SELECT * FROM api_token WHERE hash = @hash;

-- name: Tokens :many
SELECT * FROM api_token
WHERE id > @after
ORDER BY id
LIMIT @page_size;
