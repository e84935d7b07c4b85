-- name: InsertMeter :one
INSERT INTO meter (key, display_name, aggregation, created_at, updated_at)
VALUES (@key, @display_name, @aggregation, @created_at, @updated_at)
RETURNING *;

-- name: UpdateMeter :one
UPDATE meter
SET display_name = @display_name, updated_at = @updated_at, archived_at = @archived_at, revision = revision + 1
WHERE key = @key
RETURNING *;

-- name: Meter :one
SELECT * FROM meter WHERE key = @key;

-- name: MetersNamed :many
SELECT * FROM meter WHERE key = ANY(@keys::text[]);

-- name: Meters :many
SELECT * FROM meter
WHERE key > @after
  AND (archived_at IS NOT NULL) = @archived::boolean
  AND (sqlc.narg('aggregation')::text IS NULL OR aggregation = sqlc.narg('aggregation'))
ORDER BY key
LIMIT @page_size;

-- name: InsertFeature :one
INSERT INTO feature (key, display_name, type, meter, created_at, updated_at)
VALUES (@key, @display_name, @type, @meter, @created_at, @updated_at)
RETURNING *;

-- name: UpdateFeature :one
UPDATE feature
SET display_name = @display_name, updated_at = @updated_at, archived_at = @archived_at, revision = revision + 1
WHERE key = @key
RETURNING *;

-- name: Feature :one
SELECT * FROM feature WHERE key = @key;

-- name: FeaturesNamed :many
SELECT * FROM feature WHERE key = ANY(@keys::text[]);

-- name: Features :many
SELECT * FROM feature
WHERE key > @after
  AND (archived_at IS NOT NULL) = @archived::boolean
  AND (sqlc.narg('type')::text IS NULL OR type = sqlc.narg('type'))
  AND (sqlc.narg('meter')::text IS NULL OR meter = sqlc.narg('meter'))
ORDER BY key
LIMIT @page_size;
