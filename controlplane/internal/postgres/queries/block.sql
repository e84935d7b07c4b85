-- name: NodeBlock :one
SELECT * FROM blocked_node WHERE node = @node;

-- name: KeysBlock :one
-- The newest block of a key, whatever name it had.
SELECT * FROM node_block
WHERE public_key = @public_key::bytea OR nats_user = @nats_user::text
ORDER BY blocked_at DESC
LIMIT 1;

-- name: LockBlocks :exec
-- Waits until all that decided by the blocks as they were has ended, and has the rest wait for this transaction.
SELECT pg_advisory_xact_lock(hashtextextended('node_block', 0));

-- name: HoldBlocks :exec
-- No block is made or ended until this transaction ends.
SELECT pg_advisory_xact_lock_shared(hashtextextended('node_block', 0));

-- name: InsertNodeBlock :exec
INSERT INTO node_block (node, public_key, nats_user, reason, blocked_by, blocked_at)
VALUES (@node, @public_key, @nats_user, @reason, @blocked_by, @blocked_at);

-- name: DeleteNodeBlock :exec
DELETE FROM node_block WHERE node = @node AND public_key = @public_key;

-- name: BlocksOfSigners :many
-- Which signers of segments are blocked, and why.
SELECT s.node::text AS node, s.public_key::bytea AS public_key, b.reason
FROM (SELECT unnest(@nodes::text[]) AS node, unnest(@public_keys::bytea[]) AS public_key) s
JOIN node_block b ON b.public_key = s.public_key
    OR b.node = s.node AND b.public_key = ''
    AND NOT EXISTS (SELECT FROM node_identity i WHERE i.node = s.node AND i.public_key = s.public_key);
