-- name: SaveNode :exec
INSERT INTO node AS n (name, boot, version, epoch_generation, epoch_number, state, lag_ms, spool_bytes, proxy_rps, report, refuses, last_seen)
VALUES (@name, @boot, @version, @epoch_generation, @epoch_number, @state, @lag_ms, @spool_bytes, @proxy_rps, @report, @refuses, now())
ON CONFLICT (name) DO UPDATE
SET boot = excluded.boot, version = excluded.version, epoch_generation = excluded.epoch_generation,
    epoch_number = excluded.epoch_number, state = excluded.state, lag_ms = excluded.lag_ms,
    spool_bytes = excluded.spool_bytes, proxy_rps = excluded.proxy_rps, report = excluded.report, refuses = excluded.refuses, last_seen = excluded.last_seen
WHERE n.boot <> excluded.boot OR n.report < excluded.report;

-- name: Nodes :many
SELECT sqlc.embed(node), extract(epoch FROM now() - last_seen)::double precision AS age
FROM node ORDER BY name;
