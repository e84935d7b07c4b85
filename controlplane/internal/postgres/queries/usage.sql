-- name: UsageTotal :one
SELECT coalesce(sum(units), 0)::bigint AS total
FROM usage_minute
WHERE license = @license AND meter = @meter AND minute >= @since AND minute < @until;

-- name: UsedUnits :one
SELECT coalesce(sum(units), 0)::bigint AS units
FROM usage_minute
WHERE license = @license AND meter = @meter AND counter_generation = @generation AND minute >= @since AND minute < @until;

-- name: UsageRows :many
-- Windows are cut from the start of the range.
SELECT date_bin(make_interval(secs => @width::double precision), minute, @since::timestamptz)::timestamptz AS start,
       sum(units)::bigint AS units
FROM usage_minute
WHERE license = @license AND meter = @meter AND minute >= @since AND minute < @until
GROUP BY 1
HAVING sum(units) <> 0
ORDER BY 1;

-- name: UsageAsOf :one
-- A live node's boots that are still open: one that died leaves its log to the next.
SELECT coalesce(min(h.sealed_at), 'epoch')::timestamptz AS as_of, count(*) AS boots
FROM node n JOIN boot_head h ON h.node = n.name AND NOT h.closed
WHERE n.last_seen > now() - interval '5 seconds';

-- name: Decision :one
SELECT * FROM decision WHERE id = @id;

-- name: SearchDecisions :many
SELECT * FROM decision
WHERE (@customer::text = '' OR customer = @customer)
    AND (@credential::text = '' OR credential = @credential)
    AND (@route::text = '' OR route = @route)
    AND (@node::text = '' OR node = @node)
    AND (@code::text = '' OR code = @code)
    AND (@outcome::text = '' OR outcome = @outcome)
    AND time >= @since
    AND (time, id) < (@before_time::timestamptz, @before_id::text)
ORDER BY time DESC, id DESC
LIMIT @page_size;

-- name: SearchDecisionsOfLicense :many
-- A statement of its own, so that its plan is one for a licence's own index.
SELECT * FROM decision
WHERE license = @license
    AND (@customer::text = '' OR customer = @customer)
    AND (@credential::text = '' OR credential = @credential)
    AND (@route::text = '' OR route = @route)
    AND (@node::text = '' OR node = @node)
    AND (@code::text = '' OR code = @code)
    AND (@outcome::text = '' OR outcome = @outcome)
    AND time >= @since
    AND (time, id) < (@before_time::timestamptz, @before_id::text)
ORDER BY time DESC, id DESC
LIMIT @page_size;
