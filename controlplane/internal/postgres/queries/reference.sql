-- name: MeterReferences :many
SELECT 'feature'::text AS kind, key AS id FROM feature WHERE feature.meter = @meter::text AND archived_at IS NULL
UNION ALL
SELECT 'route'::text, key FROM route WHERE route.meter = @meter::text AND archived_at IS NULL
ORDER BY kind, id
LIMIT @page_size;

-- name: FeatureReferences :many
SELECT 'plan_version'::text AS kind, (v.plan || '@' || v.version)::text AS id
FROM plan_version v
WHERE v.entitlements @> jsonb_build_array(jsonb_build_object('feature', @feature::text))
  AND (v.state = 'draft'
       OR v.state = 'published' AND (
           v.version = (SELECT max(n.version) FROM plan_version n WHERE n.plan = v.plan AND n.state = 'published')
           OR EXISTS (SELECT FROM license l
                      WHERE l.plan = v.plan AND l.plan_version = v.version
                        AND l.status IN ('active', 'suspended') AND (l.ends_at IS NULL OR l.ends_at > @now::timestamptz)
                        AND (l.cancels_at IS NULL OR l.cancels_at > @now::timestamptz))
           OR EXISTS (SELECT FROM license l
                      WHERE l.phases <> '[]'
                        AND l.phases @> jsonb_build_array(jsonb_build_object('plan', v.plan, 'version', v.version))
                        AND l.status IN ('active', 'suspended') AND (l.ends_at IS NULL OR l.ends_at > @now::timestamptz)
                        AND (l.cancels_at IS NULL OR l.cancels_at > @now::timestamptz))))
UNION ALL
SELECT 'add_on'::text, a.key
FROM add_on a JOIN add_on_version v ON v.add_on = a.key AND v.version = a.version
WHERE a.archived_at IS NULL AND v.entitlements @> jsonb_build_array(jsonb_build_object('feature', @feature::text))
UNION ALL
SELECT 'license'::text, l.id FROM license l
WHERE (l.overrides <> '[]' AND l.overrides @> jsonb_build_array(jsonb_build_object('feature', @feature::text))
       OR l.grants <> '[]' AND l.grants @> jsonb_build_array(jsonb_build_object('feature', @feature::text)))
  AND l.status IN ('active', 'suspended') AND (l.ends_at IS NULL OR l.ends_at > @now::timestamptz)
  AND (l.cancels_at IS NULL OR l.cancels_at > @now::timestamptz)
UNION ALL
SELECT 'route'::text, r.key FROM route r WHERE @feature::text = ANY(r.requires) AND r.archived_at IS NULL
ORDER BY kind, id
LIMIT @page_size;

-- name: LicenseReferences :many
SELECT id FROM license
WHERE (sqlc.narg('customer')::text IS NULL OR customer = sqlc.narg('customer'))
  AND (sqlc.narg('plan')::text IS NULL OR plan = sqlc.narg('plan')
       OR phases <> '[]' AND phases @> jsonb_build_array(jsonb_build_object('plan', sqlc.narg('plan')::text)))
  AND status IN ('active', 'suspended') AND (ends_at IS NULL OR ends_at > @now::timestamptz)
  AND (cancels_at IS NULL OR cancels_at > @now::timestamptz)
ORDER BY id
LIMIT @page_size;

-- name: UpstreamReferences :many
SELECT key AS id FROM route WHERE service = @service AND archived_at IS NULL
ORDER BY key
LIMIT @page_size;
