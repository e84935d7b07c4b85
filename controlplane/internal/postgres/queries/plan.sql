-- name: InsertPlan :exec
INSERT INTO plan (key, display_name, created_at, updated_at)
VALUES (@key, @display_name, @created_at, @updated_at);

-- name: UpdatePlan :execrows
UPDATE plan
SET display_name = @display_name, updated_at = @updated_at, archived_at = @archived_at, revision = revision + 1
WHERE key = @key;

-- name: Plan :one
SELECT sqlc.embed(p),
       coalesce((SELECT max(v.version) FROM plan_version v WHERE v.plan = p.key AND v.state = 'published'), 0)::integer AS published_version,
       coalesce((SELECT max(v.version) FROM plan_version v WHERE v.plan = p.key AND v.state = 'draft'), 0)::integer AS draft_version
FROM plan p
WHERE p.key = @key;

-- name: Plans :many
SELECT sqlc.embed(p),
       coalesce((SELECT max(v.version) FROM plan_version v WHERE v.plan = p.key AND v.state = 'published'), 0)::integer AS published_version,
       coalesce((SELECT max(v.version) FROM plan_version v WHERE v.plan = p.key AND v.state = 'draft'), 0)::integer AS draft_version
FROM plan p
WHERE p.key > @after
  AND (p.archived_at IS NOT NULL) = @archived::boolean
ORDER BY p.key
LIMIT @page_size;

-- name: InsertPlanVersion :one
INSERT INTO plan_version (plan, version, state, entitlements, rate_limits, rate_cards, trial_days, created_at, published_at,
                          effective_at)
VALUES (@plan, @version, @state, @entitlements, @rate_limits, @rate_cards, @trial_days, @created_at, @published_at,
        @effective_at)
RETURNING *;

-- name: UpdatePlanVersion :one
-- A published version never changes, whatever the caller thinks.
UPDATE plan_version
SET state = @state, entitlements = @entitlements, rate_limits = @rate_limits, rate_cards = @rate_cards,
    trial_days = @trial_days, published_at = @published_at, effective_at = @effective_at, revision = revision + 1
WHERE plan = @plan AND version = @version AND state = 'draft'
RETURNING *;

-- name: NewestVersion :one
SELECT coalesce(max(version), 0)::integer FROM plan_version WHERE plan = @plan;

-- name: RenumberDraft :execrows
UPDATE plan_version
SET version = @version, revision = revision + 1
WHERE plan = @plan AND state = 'draft';

-- name: ArchivePlanVersions :many
UPDATE plan_version
SET state = 'archived', revision = revision + 1
WHERE plan = @plan AND state IN ('draft', 'published')
RETURNING version, published_at;

-- name: RestorePlanVersions :many
-- A draft that was given up, or was open when its plan was archived, stays as it is.
UPDATE plan_version
SET state = 'published', revision = revision + 1
WHERE plan = @plan AND state = 'archived' AND published_at IS NOT NULL
RETURNING *;

-- name: PlanVersion :one
SELECT * FROM plan_version WHERE plan = @plan AND version = @version;

-- name: PlanVersions :many
SELECT * FROM plan_version
WHERE plan = @plan AND version > @after
ORDER BY version
LIMIT @page_size;
