-- name: SaveNodes :batchexec
-- A node that reports is back, unless it says that it has drained.
INSERT INTO node AS n (name, boot, version, epoch_generation, epoch_number, state, lag_ms, spool_bytes, proxy_rps, report, refuses, last_seen,
    proven_generation, proven_number, proven_hash, drained_at, key_set)
VALUES (@name, @boot, @version, @epoch_generation, @epoch_number, @state, @lag_ms, @spool_bytes, @proxy_rps, @report, @refuses, now(),
    @proven_generation, @proven_number, @proven_hash, CASE WHEN @drained::boolean THEN now() END, @key_set)
ON CONFLICT (name) DO UPDATE
SET boot = excluded.boot, version = excluded.version, epoch_generation = excluded.epoch_generation,
    epoch_number = excluded.epoch_number, state = excluded.state, lag_ms = excluded.lag_ms,
    spool_bytes = excluded.spool_bytes, proxy_rps = excluded.proxy_rps, report = excluded.report, refuses = excluded.refuses,
    last_seen = excluded.last_seen, proven_generation = excluded.proven_generation, proven_number = excluded.proven_number,
    proven_hash = excluded.proven_hash, drained_at = excluded.drained_at, key_set = excluded.key_set
WHERE n.boot <> excluded.boot OR n.report < excluded.report;

-- name: Nodes :many
SELECT sqlc.embed(node), extract(epoch FROM now() - last_seen)::double precision AS age,
    coalesce(b.reason, '')::text AS block_reason, b.blocked_at, coalesce(b.nats_user, '')::text AS nats_user
FROM node LEFT JOIN blocked_node b ON b.node = node.name
ORDER BY name;

-- name: EnforcingNodes :one
-- Who has been silent for longer than rules may be old blocks by itself, and serves nothing any more. The word of a blocked node counts for nothing.
SELECT count(*) AS total,
    count(*) FILTER (WHERE (epoch_generation, epoch_number) >= (@generation::bigint, @number::bigint)) AS enforced
FROM node
WHERE drained_at IS NULL AND last_seen > now() - coalesce((SELECT block_after FROM fleet), '24 hours')
    AND NOT EXISTS (SELECT FROM blocked_node b WHERE b.node = name);
