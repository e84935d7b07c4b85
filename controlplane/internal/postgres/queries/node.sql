-- name: SaveNodes :exec
-- In order of name, so that two control planes never wait for each other. A node that reports is back, unless it says that it has drained.
INSERT INTO node AS n (name, boot, version, epoch_generation, epoch_number, state, lag_ms, spool_bytes, proxy_rps, report, refuses, last_seen,
    proven_generation, proven_number, proven_hash, drained_at, key_set)
SELECT r.name, r.boot, r.version, r.epoch_generation, r.epoch_number, r.state, r.lag_ms, r.spool_bytes, r.proxy_rps, r.report, r.refuses, now(),
    r.proven_generation, r.proven_number, r.proven_hash, CASE WHEN r.drained THEN now() END, r.key_set
FROM (
    SELECT unnest(@names::text[]) AS name, unnest(@boots::text[]) AS boot, unnest(@versions::text[]) AS version,
        unnest(@epoch_generations::bigint[]) AS epoch_generation, unnest(@epoch_numbers::bigint[]) AS epoch_number,
        unnest(@states::text[]) AS state, unnest(@lags_ms::bigint[]) AS lag_ms, unnest(@spools_bytes::bigint[]) AS spool_bytes,
        unnest(@proxies_rps::double precision[]) AS proxy_rps, unnest(@reports::bigint[]) AS report, unnest(@refusals::text[]) AS refuses,
        unnest(@proven_generations::bigint[]) AS proven_generation, unnest(@proven_numbers::bigint[]) AS proven_number,
        unnest(@proven_hashes::bytea[]) AS proven_hash, unnest(@drained::boolean[]) AS drained, unnest(@key_sets::bigint[]) AS key_set
) r
ORDER BY r.name
ON CONFLICT (name) DO UPDATE
SET boot = excluded.boot, version = excluded.version, epoch_generation = excluded.epoch_generation,
    epoch_number = excluded.epoch_number, state = excluded.state, lag_ms = excluded.lag_ms,
    spool_bytes = excluded.spool_bytes, proxy_rps = excluded.proxy_rps, report = excluded.report, refuses = excluded.refuses,
    last_seen = excluded.last_seen, proven_generation = excluded.proven_generation, proven_number = excluded.proven_number,
    proven_hash = excluded.proven_hash, drained_at = excluded.drained_at, key_set = excluded.key_set
WHERE n.boot <> excluded.boot OR n.report < excluded.report;

-- name: CommitWithoutSync :exec
-- This transaction does not wait until it is on disk.
SELECT set_config('synchronous_commit', 'off', true);

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
