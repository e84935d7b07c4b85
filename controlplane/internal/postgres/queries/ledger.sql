-- name: LockBoot :exec
-- Keeps lend_quota from lending to a boot that is about to be closed.
SELECT pg_advisory_xact_lock(hashtextextended('boot ' || @boot::text, 0));

-- name: BeginHead :execrows
-- A boot's first segment.
INSERT INTO boot_head (boot, node, number, hash, closed, sealed_at)
VALUES (@boot, @node, @number, @hash, @closed, @sealed_at)
ON CONFLICT (boot) DO NOTHING;

-- name: MoveHead :execrows
-- The condition that makes a segment count once. It locks the head, so a concurrent move is seen.
UPDATE boot_head
SET number = number + 1, hash = @hash, closed = @closed, sealed_at = @sealed_at, updated_at = now()
WHERE boot = @boot AND node = @node AND number + 1 = @number::bigint AND hash = @previous AND NOT closed;

-- name: BootHead :one
SELECT node, number, hash, closed FROM boot_head WHERE boot = @boot;

-- name: KnownDecisions :many
SELECT id, settled, counted FROM decision WHERE id = ANY(@ids::text[]);

-- name: SettleDecisions :exec
UPDATE decision d
SET code = s.code, status = s.status, upstream_status = s.upstream_status, duration_us = s.duration_us,
    overhead_us = s.overhead_us, bytes_in = s.bytes_in, bytes_out = s.bytes_out, settled = true, counted = s.counted
FROM (
    SELECT unnest(@ids::text[]) AS id, unnest(@codes::text[]) AS code, unnest(@statuses::integer[]) AS status,
           unnest(@upstream_statuses::integer[]) AS upstream_status, unnest(@durations_us::bigint[]) AS duration_us,
           unnest(@overheads_us::bigint[]) AS overhead_us, unnest(@bytes_in::bigint[]) AS bytes_in,
           unnest(@bytes_out::bigint[]) AS bytes_out, unnest(@counted::boolean[]) AS counted
) s
WHERE d.id = s.id;

-- name: AddUsage :exec
INSERT INTO usage_minute AS u (license, meter, counter_generation, minute, units)
SELECT unnest(@licenses::text[]), unnest(@meters::text[]), unnest(@generations::bigint[]),
       unnest(@minutes::timestamptz[]), unnest(@units::bigint[])
ON CONFLICT (license, meter, counter_generation, minute) DO UPDATE SET units = u.units + excluded.units;

-- name: LockPoolsOfBoots :exec
-- In the order in which lenders lock pools.
SELECT 1 FROM quota_pool p JOIN quota_loan l USING (license, feature, period_start, counter_generation)
WHERE l.boot = ANY(@boots::text[])
ORDER BY p.license COLLATE "C", p.feature COLLATE "C", p.period_start, p.counter_generation
FOR UPDATE OF p;

-- name: SettleLoan :exec
UPDATE quota_loan
SET settled = settled + @units, updated_at = now()
WHERE boot = @boot AND license = @license AND feature = @feature
    AND period_start = @period_start AND counter_generation = @generation;

-- name: CloseBoot :exec
SELECT close_boot(@boot::text);
