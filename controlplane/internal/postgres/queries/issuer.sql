-- name: InsertIssuer :one
INSERT INTO issuer (key, display_name, issuer, jwks_file, jwks_url, discovery, audiences, customer_claim, license_claim, algorithms,
                    created_at, updated_at)
VALUES (@key, @display_name, @issuer, @jwks_file, @jwks_url, @discovery, @audiences, @customer_claim, @license_claim, @algorithms,
        @created_at, @updated_at)
RETURNING *;

-- name: UpdateIssuer :one
UPDATE issuer
SET display_name = @display_name, issuer = @issuer, jwks_file = @jwks_file, jwks_url = @jwks_url, discovery = @discovery,
    audiences = @audiences, customer_claim = @customer_claim, license_claim = @license_claim, algorithms = @algorithms,
    updated_at = @updated_at, archived_at = @archived_at, revision = revision + 1
WHERE key = @key
RETURNING *;

-- name: Issuer :one
SELECT * FROM issuer WHERE key = @key;

-- name: Issuers :many
SELECT * FROM issuer
WHERE key > @after
  AND (archived_at IS NOT NULL) = @archived::boolean
  AND (sqlc.narg('issuer')::text IS NULL OR issuer = sqlc.narg('issuer'))
ORDER BY key
LIMIT @page_size;
