-- name: InsertCustomer :one
INSERT INTO customer (id, external_id, display_name, time_zone, metadata, created_at, updated_at)
VALUES (@id, @external_id, @display_name, @time_zone, @metadata, @created_at, @updated_at)
RETURNING *;

-- name: UpdateCustomer :one
UPDATE customer
SET external_id = @external_id, display_name = @display_name, time_zone = @time_zone, metadata = @metadata,
    updated_at = @updated_at, archived_at = @archived_at, revision = revision + 1
WHERE id = @id
RETURNING *;

-- name: Customer :one
SELECT * FROM customer WHERE id = @id;

-- name: Customers :many
SELECT * FROM customer
WHERE id > @after
  AND (@archived::boolean AND archived_at IS NOT NULL OR NOT @archived AND archived_at IS NULL)
  AND (sqlc.narg('external_id')::text IS NULL OR external_id = sqlc.narg('external_id'))
ORDER BY id
LIMIT @page_size;

-- name: InsertCustomers :batchone
INSERT INTO customer (id, external_id, display_name, time_zone, metadata, created_at, updated_at)
VALUES (@id, @external_id, @display_name, @time_zone, @metadata, @created_at, @updated_at)
RETURNING *;

-- name: UpdateCustomers :batchone
UPDATE customer
SET display_name = @display_name, time_zone = @time_zone, metadata = @metadata, updated_at = @updated_at,
    revision = revision + 1
WHERE id = @id
RETURNING *;

-- name: CustomersNamed :many
-- By id or external id, archived ones too.
SELECT * FROM customer WHERE id = ANY (@ids::text[]) OR external_id = ANY (@external_ids::text[]);
