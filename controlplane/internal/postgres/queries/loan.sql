-- name: Loans :many
-- What is lent and not given back. A boot that closed holds nothing any more.
SELECT l.boot, l.meter, l.counter_generation, l.period_start, l.period_end,
       coalesce(h.node, n.name, '')::text AS node,
       (l.granted - l.returned)::bigint AS lent,
       greatest(l.spent, l.settled)::bigint AS spent,
       (n.boot IS NULL)::boolean AS silent
FROM quota_loan l
LEFT JOIN boot_head h ON h.boot = l.boot
LEFT JOIN node n ON n.boot = l.boot AND n.last_seen > now() - interval '15 seconds'
WHERE l.license = @license AND l.granted > l.returned AND NOT coalesce(h.closed, false)
  AND (l.meter, l.counter_generation, l.period_start, l.period_end, l.boot) >
      (@after_meter::text, @after_generation::bigint, @after_start::bigint, @after_end::bigint, @after_boot::text)
ORDER BY l.meter, l.counter_generation, l.period_start, l.period_end, l.boot
LIMIT @page_size;
