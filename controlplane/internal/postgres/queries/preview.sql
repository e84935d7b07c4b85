-- name: HeavyLicenses :many
-- Of the licences that a migration may move now, those that used more than so much since a time no later than their current period's start: few have, so that
-- the exact sums are few, too. It looks at so many licences and no more.
SELECT l.id, l.anchor, l.counter_generation, c.time_zone
FROM (SELECT id, customer, anchor, counter_generation FROM license
      WHERE plan = @plan AND plan_version < @plan_version
        AND status IN ('active', 'suspended') AND (ends_at IS NULL OR ends_at > @now::timestamptz)
        AND (cancels_at IS NULL OR cancels_at > @now::timestamptz)
      LIMIT @looked) l
JOIN customer c ON c.id = l.customer
WHERE (SELECT coalesce(sum(u.units), 0) FROM usage_minute u
       WHERE u.license = l.id AND u.meter = @meter AND u.counter_generation = l.counter_generation AND u.minute >= @since) > @above::bigint
ORDER BY l.id
LIMIT @page_size;

-- name: LicensesAbove :many
SELECT w.license::text AS license
FROM (SELECT unnest(@licenses::text[]) AS license, unnest(@generations::bigint[]) AS generation, unnest(@starts::timestamptz[]) AS start) AS w
WHERE (SELECT coalesce(sum(u.units), 0) FROM usage_minute u
       WHERE u.license = w.license AND u.meter = @meter AND u.counter_generation = w.generation AND u.minute >= w.start) > @above::bigint;

-- name: PublishedBefore :one
-- By number: versions are numbered in the order in which they are published.
SELECT coalesce(max(version), 0)::integer FROM plan_version
WHERE plan = @plan AND state = 'published' AND version < @version;
