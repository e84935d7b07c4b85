-- name: CreateFleet :execrows
INSERT INTO fleet (id, env, pepper, error_base_url, stale_after, grace_after, block_after, loan_horizon, offline_start)
VALUES (@id, @env, @pepper, @error_base_url,
        make_interval(secs => @stale_after::double precision), make_interval(secs => @grace_after::double precision),
        make_interval(secs => @block_after::double precision), make_interval(secs => @loan_horizon::double precision), @offline_start)
ON CONFLICT (singleton) DO NOTHING;

-- name: CreateHead :exec
INSERT INTO rule_head (generation, number, hash, state_hash)
VALUES (1, 0, '', decode(repeat('00', 16), 'hex'))
ON CONFLICT (singleton) DO NOTHING;

-- name: Fleet :one
SELECT id, env, pepper, error_base_url,
       extract(epoch FROM stale_after)::double precision AS stale_after,
       extract(epoch FROM grace_after)::double precision AS grace_after,
       extract(epoch FROM block_after)::double precision AS block_after,
       extract(epoch FROM loan_horizon)::double precision AS loan_horizon,
       offline_start
FROM fleet;

-- name: UpdateFleet :exec
UPDATE fleet
SET error_base_url = @error_base_url,
    stale_after = make_interval(secs => @stale_after::double precision),
    grace_after = make_interval(secs => @grace_after::double precision),
    block_after = make_interval(secs => @block_after::double precision),
    loan_horizon = make_interval(secs => @loan_horizon::double precision), offline_start = @offline_start;

-- name: Head :one
SELECT generation, number, hash, state_hash FROM rule_head;

-- name: LockHead :one
SELECT generation, number, hash, state_hash FROM rule_head FOR UPDATE;

-- name: SetStateHash :exec
UPDATE rule_head SET state_hash = @state_hash;

-- name: ReplaceRuleRecords :many
-- It answers the digests that were there before.
WITH old AS (
    SELECT digest FROM rule_record WHERE key = ANY(@keys::text[] || @removed::text[])
), removed AS (
    DELETE FROM rule_record WHERE key = ANY(@removed)
), noted AS (
    INSERT INTO rule_record (key, digest) SELECT unnest(@keys), unnest(@digests::bytea[])
    ON CONFLICT (key) DO UPDATE SET digest = excluded.digest
)
SELECT digest FROM old;

-- name: RuleRecords :many
SELECT key, digest FROM rule_record WHERE key > @after ORDER BY key LIMIT @page_size;

-- name: AppendEnvelope :exec
-- The condition holds under the lock. Should the lock ever be forgotten there is no number, which the table refuses.
WITH head AS (
    UPDATE rule_head h SET number = @number, hash = @hash, state_hash = @state_hash
    WHERE h.generation = @generation AND h.number = @previous
    RETURNING h.number
)
INSERT INTO rule_envelope (generation, number, payload, hash, created_at)
VALUES (@generation, (SELECT head.number FROM head), @payload, @hash, @created_at);

-- name: RuleUpstreams :many
SELECT * FROM service WHERE archived_at IS NULL ORDER BY key;

-- name: RuleMeters :many
SELECT * FROM meter WHERE archived_at IS NULL ORDER BY key;

-- name: RuleFeatures :many
SELECT * FROM feature WHERE archived_at IS NULL ORDER BY key;

-- name: RulePlanVersions :many
SELECT * FROM plan_version WHERE state = 'published' ORDER BY plan, version;

-- name: RuleCustomers :many
SELECT * FROM customer WHERE archived_at IS NULL AND id > @after ORDER BY id LIMIT @page_size;

-- name: RuleLicenses :many
SELECT * FROM license WHERE id > @after ORDER BY id LIMIT @page_size;

-- name: RuleAPIKeys :many
SELECT * FROM api_key WHERE id > @after ORDER BY id LIMIT @page_size;
