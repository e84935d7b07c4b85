-- name: InsertJoinToken :one
INSERT INTO join_token (id, hash, node, replaces, uses, expires_at, created_by, created_at)
VALUES (@id, @hash, @node, @replaces, @uses, @expires_at, @created_by, @created_at)
RETURNING *;

-- name: JoinToken :one
SELECT * FROM join_token WHERE id = @id;

-- name: JoinTokens :many
SELECT * FROM join_token
WHERE id > @after
ORDER BY id
LIMIT @page_size;

-- name: RevokeJoinToken :one
UPDATE join_token SET revoked_at = @revoked_at, revision = revision + 1 WHERE id = @id
RETURNING *;

-- name: UseJoinToken :one
UPDATE join_token SET used = used + 1, revision = revision + 1
WHERE id = @id AND used < uses AND revoked_at IS NULL AND expires_at > @now
RETURNING *;

-- name: NodeIdentity :one
SELECT * FROM node_identity WHERE node = @node;

-- name: NodeIdentityTaken :one
SELECT EXISTS (
    SELECT FROM node_identity
    WHERE node <> @node AND (public_key = @public_key OR nats_user = @nats_user)
);

-- name: NodeReported :one
SELECT EXISTS (SELECT FROM node WHERE name = @name);

-- name: SaveNodeIdentity :exec
INSERT INTO node_identity (node, public_key, nats_user, token, certificate, nats_jwt, joined_at, renewed_at, expires_at)
VALUES (@node, @public_key, @nats_user, @token, @certificate, @nats_jwt, @joined_at, sqlc.narg('renewed_at'), @expires_at)
ON CONFLICT (node) DO UPDATE
SET public_key = excluded.public_key, nats_user = excluded.nats_user, token = excluded.token, certificate = excluded.certificate,
    nats_jwt = excluded.nats_jwt, joined_at = excluded.joined_at, renewed_at = excluded.renewed_at, expires_at = excluded.expires_at;
