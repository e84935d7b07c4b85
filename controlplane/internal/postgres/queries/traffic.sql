-- name: InsertUpstream :one
INSERT INTO service (key, display_name, endpoints, created_at, updated_at)
VALUES (@key, @display_name, @endpoints, @created_at, @updated_at)
RETURNING *;

-- name: UpdateUpstream :one
UPDATE service
SET display_name = @display_name, endpoints = @endpoints, updated_at = @updated_at, archived_at = @archived_at,
    revision = revision + 1
WHERE key = @key
RETURNING *;

-- name: Upstream :one
SELECT * FROM service WHERE key = @key;

-- name: Upstreams :many
SELECT * FROM service
WHERE key > @after
  AND (archived_at IS NOT NULL) = @archived::boolean
ORDER BY key
LIMIT @page_size;

-- name: InsertRoute :one
INSERT INTO route (key, display_name, service, host, path, methods, requires, meter, cost_fixed, bill_open_intents, on_stale,
                   created_at, updated_at)
VALUES (@key, @display_name, @service, @host, @path, @methods, @requires, @meter, @cost_fixed, @bill_open_intents, @on_stale,
        @created_at, @updated_at)
RETURNING *;

-- name: UpdateRoute :one
UPDATE route
SET display_name = @display_name, service = @service, host = @host, path = @path, methods = @methods,
    requires = @requires, meter = @meter, cost_fixed = @cost_fixed, bill_open_intents = @bill_open_intents, on_stale = @on_stale,
    updated_at = @updated_at, archived_at = @archived_at, revision = revision + 1
WHERE key = @key
RETURNING *;

-- name: Route :one
SELECT * FROM route WHERE key = @key;

-- name: LiveRoutes :many
SELECT * FROM route WHERE archived_at IS NULL ORDER BY key;

-- name: Routes :many
SELECT * FROM route
WHERE key > @after
  AND (archived_at IS NOT NULL) = @archived::boolean
  AND (sqlc.narg('service')::text IS NULL OR service = sqlc.narg('service'))
  AND (sqlc.narg('meter')::text IS NULL OR meter = sqlc.narg('meter'))
ORDER BY key
LIMIT @page_size;
