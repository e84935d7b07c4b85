-- name: InsertAPIKeys :batchone
INSERT INTO api_key (id, license, display_name, prefix, hash, imported, expires_at, created_at)
VALUES (@id, @license, @display_name, @prefix, @hash, @imported, @expires_at, @created_at)
RETURNING *;

-- name: UpdateAPIKey :one
UPDATE api_key
SET display_name = @display_name, expires_at = @expires_at, revoked_at = @revoked_at, revision = revision + 1
WHERE id = @id
RETURNING *;

-- name: ImportedAPIKeys :many
SELECT * FROM api_key WHERE imported AND hash = ANY (@hashes::bytea[]);

-- name: APIKey :one
SELECT * FROM api_key WHERE id = @id;

-- name: APIKeys :many
SELECT * FROM api_key
WHERE id > @after
  AND (sqlc.narg('license')::text IS NULL OR license = sqlc.narg('license'))
ORDER BY id
LIMIT @page_size;

-- name: InsertToken :one
INSERT INTO api_token (id, display_name, role, hash, created_at)
VALUES (@id, @display_name, @role, @hash, @created_at)
RETURNING *;

-- name: RevokeToken :one
UPDATE api_token SET revoked_at = @revoked_at, revision = revision + 1 WHERE id = @id
RETURNING *;

-- name: Token :one
SELECT * FROM api_token WHERE id = @id;

-- name: TokenByHash :one
SELECT * FROM api_token WHERE hash = @hash;

-- name: Tokens :many
SELECT * FROM api_token
WHERE id > @after
ORDER BY id
LIMIT @page_size;
