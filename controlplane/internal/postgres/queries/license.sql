-- name: InsertLicense :one
INSERT INTO license (id, customer, plan, plan_version, status, starts_at, ends_at, anchor, counter_generation,
                     created_at, updated_at)
VALUES (@id, @customer, @plan, @plan_version, @status, @starts_at, @ends_at, @anchor, @counter_generation,
        @created_at, @updated_at)
RETURNING *;

-- name: UpdateLicense :one
UPDATE license
SET plan = @plan, plan_version = @plan_version, status = @status, starts_at = @starts_at, ends_at = @ends_at,
    anchor = @anchor, counter_generation = @counter_generation, updated_at = @updated_at, revision = revision + 1
WHERE id = @id
RETURNING *;

-- name: License :one
SELECT * FROM license WHERE id = @id;

-- name: Licenses :many
-- The status as of now is worked out in the order in which a node looks.
SELECT * FROM license
WHERE id > @after
  AND (sqlc.narg('customer')::text IS NULL OR customer = sqlc.narg('customer'))
  AND (sqlc.narg('plan')::text IS NULL OR plan = sqlc.narg('plan'))
  AND (sqlc.narg('plan_version')::integer IS NULL OR plan_version = sqlc.narg('plan_version'))
  AND (sqlc.narg('status')::text IS NULL OR sqlc.narg('status') =
       CASE WHEN status IN ('revoked', 'canceled') THEN status
            WHEN ends_at <= @now::timestamptz THEN 'expired'
            WHEN starts_at > @now::timestamptz THEN 'scheduled'
            ELSE status END)
ORDER BY id
LIMIT @page_size;

-- name: MoveLicenses :many
UPDATE license
SET plan_version = @plan_version, updated_at = @now::timestamptz, revision = revision + 1
WHERE plan = @plan AND plan_version < @plan_version
  AND status IN ('active', 'suspended') AND (ends_at IS NULL OR ends_at > @now::timestamptz)
RETURNING *;
