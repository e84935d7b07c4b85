-- name: EnvelopesAfter :many
SELECT generation, number, payload, created_at FROM rule_envelope
WHERE (generation, number) > (@generation::bigint, @number::bigint)
ORDER BY generation, number
LIMIT @batch;

-- name: EnvelopeHash :one
SELECT hash FROM rule_envelope WHERE generation = @generation AND number = @number;

-- name: TryLead :one
SELECT pg_try_advisory_lock(hashtextextended('publisher', 0));
