-- name: CounterStarts :many
SELECT * FROM counter_start WHERE license = ANY(@licenses::text[]) ORDER BY license, starts_at, counter_generation;

-- name: UsageEvents :many
SELECT e.* FROM usage_event e
JOIN (SELECT unnest(@sources::text[]) AS source, unnest(@ids::text[]) AS id) k ON k.source = e.source AND k.id = e.id;

-- name: InsertUsageEvents :many
-- Rows come in one order, so that two calls with the same events do not wait for each other in a circle. Those that are there are left out of what is
-- returned.
INSERT INTO usage_event (source, id, license, meter, counter_generation, time, units, created_at)
SELECT unnest(@sources::text[]), unnest(@ids::text[]), unnest(@licenses::text[]), unnest(@meters::text[]),
       unnest(@generations::bigint[]), unnest(@times::timestamptz[]), unnest(@units::bigint[]), @created_at::timestamptz
ON CONFLICT (source, id) DO NOTHING
RETURNING source, id;

-- name: LockCounters :exec
-- In the order in which lenders lock counters; those that are not there are made on the way, as lenders make them. A row that is there is locked, and
-- not written.
INSERT INTO quota_counter (license, meter)
SELECT unnest(@licenses::text[]), unnest(@meters::text[])
ON CONFLICT (license, meter) DO UPDATE SET meter = excluded.meter WHERE false;

-- name: UnitsOfMinutes :many
SELECT u.license, u.meter, u.counter_generation, u.minute, u.units FROM usage_minute u
JOIN (SELECT unnest(@licenses::text[]) AS license, unnest(@meters::text[]) AS meter, unnest(@generations::bigint[]) AS generation,
             unnest(@minutes::timestamptz[]) AS minute) k
    ON k.license = u.license AND k.meter = u.meter AND k.generation = u.counter_generation AND k.minute = u.minute;

-- name: InsertUsageCorrection :exec
INSERT INTO usage_correction (id, license, meter, counter_generation, minute, units, reason, actor, created_at)
VALUES (@id, @license, @meter, @counter_generation, @minute, @units, @reason, @actor, @created_at);

-- name: UsageCorrections :many
SELECT * FROM usage_correction
WHERE id > @after
  AND (sqlc.narg('license')::text IS NULL OR license = sqlc.narg('license'))
  AND (sqlc.narg('meter')::text IS NULL OR meter = sqlc.narg('meter'))
ORDER BY id
LIMIT @page_size;
