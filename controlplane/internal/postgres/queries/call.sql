-- name: AdminCall :one
SELECT * FROM admin_call
WHERE actor = @actor AND procedure = @procedure AND request_id = @request_id AND created_at > @after;

-- name: InsertAdminCall :exec
-- A row that is there has expired, or it would have been the answer.
INSERT INTO admin_call (actor, procedure, request_id, fingerprint, generation, number, answer, created_at)
VALUES (@actor, @procedure, @request_id, @fingerprint, @generation, @number, @answer, @created_at)
ON CONFLICT (actor, procedure, request_id) DO UPDATE
SET fingerprint = excluded.fingerprint, generation = excluded.generation, number = excluded.number,
    answer = excluded.answer, created_at = excluded.created_at;

-- name: LockAdminCall :exec
-- For writes that take no other lock, so that the same call at the same time waits for the answer of the first.
SELECT pg_advisory_xact_lock(hashtextextended(concat_ws(E'\n', 'call', @actor::text, @procedure::text, @request_id::text), 0));

-- name: ExpireAdminCalls :exec
-- Those that another call drops already are left to it.
DELETE FROM admin_call WHERE (actor, procedure, request_id) IN (
    SELECT c.actor, c.procedure, c.request_id FROM admin_call c
    WHERE c.created_at <= @before ORDER BY c.created_at LIMIT @row_limit
    FOR UPDATE SKIP LOCKED);

-- name: LockAuditHead :one
SELECT sequence, hash FROM audit_head FOR UPDATE;

-- name: AuditHead :one
SELECT sequence, hash FROM audit_head;

-- name: AppendAuditEvent :exec
-- The condition holds under the lock. Should the lock ever be forgotten there is no sequence, which the table refuses.
WITH head AS (
    UPDATE audit_head h SET sequence = @sequence, hash = @hash WHERE h.sequence = @previous RETURNING h.sequence
)
INSERT INTO audit_event (sequence, at, actor, actor_name, role, procedure, kind, object, before, after, request_id,
                         generation, number, previous_hash, hash)
VALUES ((SELECT head.sequence FROM head), @at, @actor, @actor_name, @role, @procedure, @kind, @object, @before, @after, @request_id,
        @generation, @number, @previous_hash, @hash);

-- name: AuditEvents :many
-- The head comes with the events, of the same moment.
SELECT sqlc.embed(e), h.sequence AS head_sequence, h.hash AS head_hash
FROM audit_event e CROSS JOIN audit_head h
WHERE (sqlc.narg('below')::bigint IS NULL OR e.sequence < sqlc.narg('below'))
  AND (sqlc.narg('actor')::text IS NULL OR e.actor = sqlc.narg('actor'))
  AND (sqlc.narg('kind')::text IS NULL OR e.kind = sqlc.narg('kind'))
  AND (sqlc.narg('object')::text IS NULL OR e.object = sqlc.narg('object'))
ORDER BY e.sequence DESC
LIMIT @page_size;
