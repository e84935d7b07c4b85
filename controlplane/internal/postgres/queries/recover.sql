-- name: OpenGeneration :execrows
-- The hash stays: the first change set of a generation names the last one of the database's past.
UPDATE rule_head
SET generation = @generation, number = @number
WHERE generation < @generation::bigint;

-- name: PublisherState :one
SELECT stopped, instance FROM publisher_state;

-- name: KeepPublisherState :exec
UPDATE publisher_state
SET stopped = @stopped, instance = @instance,
    stopped_at = CASE WHEN @stopped::text = '' THEN NULL ELSE coalesce(stopped_at, now()) END
WHERE stopped <> @stopped OR instance <> @instance;

-- name: Timeline :one
-- The control file names a timeline from its first checkpoint on only; the log does at once.
SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)::text;

-- name: SystemIdentifier :one
SELECT system_identifier::text FROM pg_control_system();

-- name: ProvenHead :one
-- The newest epoch that a node has proved to enforce, and how many nodes are known, without those that are blocked.
SELECT coalesce(n.proven_generation, 0)::bigint AS generation, coalesce(n.proven_number, 0)::bigint AS number,
    coalesce(n.proven_hash, '')::bytea AS hash, (
        SELECT count(*) FROM node WHERE drained_at IS NULL AND NOT EXISTS (SELECT FROM blocked_node b WHERE b.node = node.name)
    ) AS nodes
FROM (VALUES (true)) AS one(row)
LEFT JOIN LATERAL (
    SELECT * FROM node
    WHERE NOT EXISTS (SELECT FROM blocked_node b WHERE b.node = node.name)
    ORDER BY node.proven_generation DESC, node.proven_number DESC LIMIT 1
) n ON true;

-- name: NodeAstray :one
-- Whether a node that reports says that change sets lead it to another state than the one that was meant.
SELECT EXISTS (
    SELECT FROM node WHERE refuses = 'hash' AND drained_at IS NULL AND last_seen > now() - interval '10 seconds'
        AND NOT EXISTS (SELECT FROM blocked_node b WHERE b.node = node.name)
);

-- name: DrainedNode :one
SELECT name, drained_at, extract(epoch FROM now() - last_seen)::double precision AS age FROM node WHERE name = @name;

-- name: DrainNode :exec
UPDATE node SET drained_at = @drained_at WHERE name = @name;
