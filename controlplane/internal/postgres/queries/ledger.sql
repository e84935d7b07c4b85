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

-- name: LockCountersOfBoots :exec
-- In the order in which lenders lock counters.
SELECT 1 FROM quota_counter c
WHERE EXISTS (SELECT FROM quota_loan l
              WHERE l.boot = ANY(@boots::text[]) AND l.license = c.license AND l.meter = c.meter)
ORDER BY c.license COLLATE "C", c.meter COLLATE "C"
FOR UPDATE;

-- name: ChargePools :exec
-- Units that were counted without a loan: pools of periods that they fall in, if there are any, know of them.
WITH used AS (
    SELECT unnest(@licenses::text[]) AS license, unnest(@meters::text[]) AS meter,
           unnest(@generations::bigint[]) AS counter_generation, unnest(@minutes::bigint[]) AS minute,
           unnest(@units::bigint[]) AS units
), charged AS (
    SELECT p.license, p.meter, p.counter_generation, p.period_end, p.period_start, sum(u.units) AS units
    FROM used u
    JOIN quota_pool p ON p.license = u.license AND p.meter = u.meter AND p.counter_generation = u.counter_generation
        AND p.period_end > u.minute AND p.period_start <= u.minute
    GROUP BY 1, 2, 3, 4, 5
), locked AS (
    SELECT c.units, p.license, p.meter, p.counter_generation, p.period_end, p.period_start
    FROM charged c JOIN quota_pool p USING (license, meter, counter_generation, period_end, period_start)
    ORDER BY p.license COLLATE "C", p.meter COLLATE "C"
    FOR UPDATE OF p
)
UPDATE quota_pool p SET lent = greatest(p.lent + l.units, 0)
FROM locked l
WHERE p.license = l.license AND p.meter = l.meter AND p.counter_generation = l.counter_generation
    AND p.period_end = l.period_end AND p.period_start = l.period_start;

-- name: SettleLoan :exec
UPDATE quota_loan
SET settled = settled + @units, updated_at = now()
WHERE boot = @boot AND license = @license AND meter = @meter AND counter_generation = @generation
    AND period_end = @period_end AND period_start = @period_start;

-- name: CloseBoot :exec
SELECT close_boot(@boot::text);
