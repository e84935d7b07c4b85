-- name: InsertTerm :one
INSERT INTO term (key, display_name, subject, condition, effect, priority, retry_after_ms, cost, message, created_at, updated_at)
VALUES (@key, @display_name, @subject, @condition, @effect, @priority, @retry_after_ms, @cost, @message, @created_at, @updated_at)
RETURNING *;

-- name: UpdateTerm :one
UPDATE term
SET display_name = @display_name, subject = @subject, condition = @condition, effect = @effect, priority = @priority,
    retry_after_ms = @retry_after_ms, cost = @cost, message = @message, updated_at = @updated_at, archived_at = @archived_at,
    revision = revision + 1
WHERE key = @key
RETURNING *;

-- name: Term :one
SELECT * FROM term WHERE key = @key;

-- name: RuleTerms :many
SELECT * FROM term WHERE archived_at IS NULL ORDER BY key;

-- name: Terms :many
SELECT * FROM term
WHERE key > @after
  AND (archived_at IS NOT NULL) = @archived::boolean
  AND (sqlc.narg('subject')::text IS NULL OR subject = sqlc.narg('subject'))
  AND (sqlc.narg('effect')::text IS NULL OR effect = sqlc.narg('effect'))
ORDER BY key
LIMIT @page_size;

-- name: TermReferences :many
SELECT key AS id FROM term WHERE subject = @subject AND archived_at IS NULL
ORDER BY key
LIMIT @page_size;
