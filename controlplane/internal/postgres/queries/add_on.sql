-- name: InsertAddOn :exec
INSERT INTO add_on (key, display_name, version, created_at, updated_at)
VALUES (@key, @display_name, @version, @created_at, @updated_at);

-- name: UpdateAddOn :execrows
UPDATE add_on
SET display_name = @display_name, version = @version, updated_at = @updated_at, archived_at = @archived_at, revision = revision + 1
WHERE key = @key;

-- name: InsertAddOnVersion :exec
-- What is there stays as it is: a version never changes.
INSERT INTO add_on_version (add_on, version, entitlements, rate_cards, effective_at)
VALUES (@add_on, @version, @entitlements, @rate_cards, @effective_at)
ON CONFLICT (add_on, version) DO NOTHING;

-- name: AddOn :one
SELECT sqlc.embed(a), sqlc.embed(v)
FROM add_on a JOIN add_on_version v ON v.add_on = a.key AND v.version = a.version
WHERE a.key = @key;

-- name: AddOns :many
SELECT sqlc.embed(a), sqlc.embed(v)
FROM add_on a JOIN add_on_version v ON v.add_on = a.key AND v.version = a.version
WHERE a.key > @after
  AND (a.archived_at IS NOT NULL) = @archived::boolean
ORDER BY a.key
LIMIT @page_size;

-- name: AddOnsNamed :many
SELECT sqlc.embed(a), sqlc.embed(v)
FROM add_on a JOIN add_on_version v ON v.add_on = a.key AND v.version = a.version
WHERE a.key = ANY(@keys::text[]);

-- name: RuleAddOns :many
SELECT sqlc.embed(a), sqlc.embed(v)
FROM add_on a JOIN add_on_version v ON v.add_on = a.key AND v.version = a.version
WHERE a.archived_at IS NULL
ORDER BY a.key;

-- name: AddOnReferences :many
-- Licences that have an add-on, or will have it. What has ended stays in a record until its next write.
SELECT l.id FROM license l
WHERE l.add_ons <> '[]' AND l.add_ons @> jsonb_build_array(jsonb_build_object('add_on', @add_on::text))
  AND l.status IN ('active', 'suspended') AND (l.ends_at IS NULL OR l.ends_at > @now::timestamptz)
  AND (l.cancels_at IS NULL OR l.cancels_at > @now::timestamptz)
  AND EXISTS (SELECT FROM jsonb_array_elements(l.add_ons) a
              WHERE a->>'add_on' = @add_on::text AND (a->>'ends_at' IS NULL OR (a->>'ends_at')::timestamptz > @now::timestamptz))
ORDER BY l.id
LIMIT @page_size;
