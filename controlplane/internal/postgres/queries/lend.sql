-- name: LendTerms :many
SELECT sqlc.embed(l), c.time_zone
FROM license l JOIN customer c ON c.id = l.customer
WHERE l.id = ANY(@ids::text[]);

-- name: LendQuota :one
SELECT f.closed::boolean AS closed, f.granted::bigint AS granted, f.added::bigint AS added,
       f.remaining::bigint AS remaining, f.idle::bigint AS idle
FROM lend_quota(@boot::text, @license::text, @meter::text, @generation::bigint, @period_start::bigint, @period_end::bigint, @units::bigint,
                @rollover::bigint, @prev_start::bigint, @prev_end::bigint, @prev_limit::bigint,
                @grants::text[], @grant_units::bigint[], @grants_before::integer,
                @waiting::bigint, @want::bigint, @nodes::bigint, @spent::bigint, @returned::bigint) f;

-- name: LendRate :one
SELECT f.granted::bigint AS granted, f.added::bigint AS added, f.retry_after::double precision AS retry_after
FROM lend_rate(@boot::text, @license::text, @rate_limit::text, @per_second::double precision, @burst::bigint,
               @waiting::bigint, @want::bigint, @nodes::bigint, @closed::bigint, @lives::double precision) f;

-- name: LiveNodes :one
SELECT count(*) FROM node
WHERE last_seen > now() - interval '5 seconds' AND NOT EXISTS (SELECT FROM blocked_node b WHERE b.node = node.name);

-- name: DrawnIn :many
SELECT grant_id, units FROM quota_draw
WHERE grant_id = ANY(@grants::text[]) AND license = @license AND meter = @meter AND counter_generation = @generation
    AND period_start = @period_start AND period_end = @period_end;

-- name: Rolled :one
SELECT coalesce(sum(rolled), 0)::bigint FROM quota_pool
WHERE license = @license AND meter = @meter AND counter_generation = @generation AND period_start = @period_start AND period_end = @period_end;

-- name: Drawn :many
SELECT grant_id, sum(units)::bigint AS units FROM quota_draw WHERE grant_id = ANY(@grants::text[]) GROUP BY grant_id;

-- name: Carried :one
SELECT quota_carried(@license::text, @meter::text, @generation::bigint, @period_start::bigint, @period_end::bigint, @quota::bigint, @rollover::bigint)::bigint AS units;
