-- What a licence needs that is to be issued, asked for together. The version is the newest published one that is in effect, or one by number.

-- name: OfferedVersion :one
SELECT * FROM plan_version
WHERE plan = @plan AND state = 'published' AND (version = @version OR @version = 0 AND coalesce(effective_at, published_at) <= @now)
ORDER BY version DESC
LIMIT 1;

-- name: OfferedFeatures :many
SELECT * FROM feature WHERE key IN (
    SELECT jsonb_array_elements(v.entitlements) ->> 'feature' FROM (
        SELECT entitlements FROM plan_version
        WHERE plan = @plan AND state = 'published' AND (version = @version OR @version = 0 AND coalesce(effective_at, published_at) <= @now)
        ORDER BY version DESC
        LIMIT 1
    ) v);

-- name: OfferedMeters :many
SELECT * FROM meter WHERE key IN (
    SELECT f.meter FROM feature f WHERE f.key IN (
        SELECT jsonb_array_elements(v.entitlements) ->> 'feature' FROM (
            SELECT entitlements FROM plan_version
            WHERE plan = @plan AND state = 'published' AND (version = @version OR @version = 0 AND coalesce(effective_at, published_at) <= @now)
            ORDER BY version DESC
            LIMIT 1
        ) v));
