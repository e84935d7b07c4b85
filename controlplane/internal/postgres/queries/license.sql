-- name: InsertLicenses :batchone
INSERT INTO license (id, external_id, customer, plan, plan_version, status, starts_at, ends_at, anchor,
                     counter_generation, trial_ends_at, due_at, created_at, updated_at)
VALUES (@id, @external_id, @customer, @plan, @plan_version, @status, @starts_at, @ends_at, @anchor,
        @counter_generation, @trial_ends_at, @due_at, @created_at, @updated_at)
RETURNING *;

-- name: UpdateLicenses :batchone
UPDATE license
SET plan = @plan, plan_version = @plan_version, status = @status, starts_at = @starts_at, ends_at = @ends_at,
    anchor = @anchor, counter_generation = @counter_generation, phases = @phases, overrides = @overrides,
    grants = @grants, add_ons = @add_ons,
    trial_ends_at = @trial_ends_at, cancels_at = @cancels_at, past_due = @past_due, grace_until = @grace_until,
    due_at = @due_at, updated_at = @updated_at, revision = revision + 1
WHERE id = @id
RETURNING *;

-- name: License :one
SELECT * FROM license WHERE id = @id;

-- name: LicensesNamed :many
-- By id or external id.
SELECT * FROM license WHERE id = ANY (@ids::text[]) OR external_id = ANY (@external_ids::text[]);

-- name: LockLicense :one
SELECT * FROM license WHERE id = @id FOR UPDATE;

-- name: Licenses :many
-- The status as of now is worked out in the order in which a node looks. Each status is a condition of its own, of which all others fold away
-- when the statement is planned for its arguments, so that what few licences have is found by an index.
SELECT * FROM license
WHERE id > @after
  AND (sqlc.narg('customer')::text IS NULL OR customer = sqlc.narg('customer'))
  AND (sqlc.narg('plan')::text IS NULL OR plan = sqlc.narg('plan'))
  AND (sqlc.narg('plan_version')::integer IS NULL OR plan_version = sqlc.narg('plan_version'))
  AND (sqlc.narg('external_id')::text IS NULL OR external_id = sqlc.narg('external_id'))
  AND (sqlc.narg('status')::text IS NULL
    OR sqlc.narg('status') = 'revoked' AND status = 'revoked'
    OR sqlc.narg('status') = 'canceled' AND (status = 'canceled' OR cancels_at <= @now::timestamptz AND status <> 'revoked')
    OR sqlc.narg('status') = 'expired' AND ends_at <= @now AND status IN ('active', 'suspended')
       AND (cancels_at IS NULL OR cancels_at > @now)
    OR sqlc.narg('status') = 'scheduled' AND starts_at > @now AND status IN ('active', 'suspended')
       AND (cancels_at IS NULL OR cancels_at > @now) AND (ends_at IS NULL OR ends_at > @now)
    OR sqlc.narg('status') = 'suspended' AND status = 'suspended'
       AND (cancels_at IS NULL OR cancels_at > @now) AND (ends_at IS NULL OR ends_at > @now) AND starts_at <= @now
    OR sqlc.narg('status') = 'past_due' AND past_due AND status = 'active'
       AND (cancels_at IS NULL OR cancels_at > @now) AND (ends_at IS NULL OR ends_at > @now) AND starts_at <= @now
    OR sqlc.narg('status') = 'trialing' AND trial_ends_at > @now AND NOT past_due AND status = 'active'
       AND (cancels_at IS NULL OR cancels_at > @now) AND (ends_at IS NULL OR ends_at > @now) AND starts_at <= @now
    OR sqlc.narg('status') = 'active' AND (trial_ends_at IS NULL OR trial_ends_at <= @now) AND NOT past_due AND status = 'active'
       AND (cancels_at IS NULL OR cancels_at > @now) AND (ends_at IS NULL OR ends_at > @now) AND starts_at <= @now)
ORDER BY id
LIMIT @page_size;

-- name: LockMovingLicenses :many
-- Those that a migration may move: on the plan now or later, not ended, in order of id.
SELECT sqlc.embed(l), c.time_zone
FROM license l JOIN customer c ON c.id = l.customer
WHERE l.id > @after
  AND (l.plan = @plan::text OR l.phases <> '[]' AND l.phases @> jsonb_build_array(jsonb_build_object('plan', @plan::text)))
  AND l.status IN ('active', 'suspended') AND (l.ends_at IS NULL OR l.ends_at > @now::timestamptz)
  AND (l.cancels_at IS NULL OR l.cancels_at > @now::timestamptz)
  AND (sqlc.narg('customer')::text IS NULL OR l.customer = sqlc.narg('customer'))
  AND (sqlc.narg('plan_version')::integer IS NULL OR l.plan_version = sqlc.narg('plan_version'))
ORDER BY l.id
LIMIT @page_size
FOR UPDATE OF l;

-- name: CountMovingLicenses :one
SELECT count(*) FROM license l
WHERE l.id > @after
  AND (l.plan = @plan::text OR l.phases <> '[]' AND l.phases @> jsonb_build_array(jsonb_build_object('plan', @plan::text)))
  AND l.status IN ('active', 'suspended') AND (l.ends_at IS NULL OR l.ends_at > @now::timestamptz)
  AND (l.cancels_at IS NULL OR l.cancels_at > @now::timestamptz)
  AND (sqlc.narg('customer')::text IS NULL OR l.customer = sqlc.narg('customer'))
  AND (sqlc.narg('plan_version')::integer IS NULL OR l.plan_version = sqlc.narg('plan_version'));

-- name: CountLiveLicenses :one
SELECT count(*) FROM license l
WHERE l.status IN ('active', 'suspended') AND (l.ends_at IS NULL OR l.ends_at > @now::timestamptz)
  AND (l.cancels_at IS NULL OR l.cancels_at > @now::timestamptz);

-- name: LockDueLicenses :many
SELECT * FROM license
WHERE due_at <= @now::timestamptz
ORDER BY due_at, id
LIMIT @page_size
FOR UPDATE SKIP LOCKED;

-- name: SetLicensesDue :batchexec
-- What people see does not change, so neither does the etag.
UPDATE license
SET plan = @plan, plan_version = @plan_version, counter_generation = @counter_generation, due_at = @due_at
WHERE id = @id;

-- name: AppendLicenseEvents :exec
-- The head's lock is kept to the end of the transaction: numbers are seen in their order.
WITH head AS (
    UPDATE license_event_head SET number = number + cardinality(@licenses::text[]) RETURNING number - cardinality(@licenses::text[]) AS last
)
INSERT INTO license_event (number, license, time, recorded_at, kind, detail)
SELECT head.last + e.n, e.license, e.time, @recorded_at::timestamptz, e.kind, e.detail::jsonb
FROM head, (
    SELECT unnest(@licenses::text[]) AS license, unnest(@times::timestamptz[]) AS time, unnest(@kinds::text[]) AS kind,
           unnest(@details::text[]) AS detail, generate_subscripts(@licenses::text[], 1) AS n
) e;

-- name: LicenseEvents :many
SELECT * FROM license_event
WHERE number > @after AND (sqlc.narg('license')::text IS NULL OR license = sqlc.narg('license'))
ORDER BY number
LIMIT @page_size;

-- name: InsertMigration :exec
INSERT INTO plan_migration (plan, version, kind, filter, effective_at, created_at, updated_at)
VALUES (@plan, @version, @kind, @filter, @effective_at, @now, @now);

-- name: UpdateMigration :exec
UPDATE plan_migration
SET progress = @progress, moved = @moved, total = @total, done = @done, generation = @generation, number = @number,
    updated_at = @updated_at
WHERE plan = @plan AND version = @version;

-- name: Migration :one
SELECT * FROM plan_migration WHERE plan = @plan AND version = @version;

-- name: OpenMigration :one
-- The oldest that is not done.
SELECT * FROM plan_migration WHERE NOT done ORDER BY created_at, plan, version LIMIT 1;
