-- A customer, a licence, a key, usage and an event for each n. What is rare is as rare in one system as in the other by number, not by
-- share: a list that has to look for it is to show it.
SET synchronous_commit = off;
SET session_replication_role = replica; -- What is written refers to what is written: nothing has to be looked up.
SET maintenance_work_mem = '256MB';
-- Without checkpoints in between. It is put back before anything is measured.
ALTER SYSTEM SET max_wal_size = '4GB';
SELECT FROM pg_reload_conf();

INSERT INTO customer (id, external_id, display_name, time_zone, metadata, created_at, updated_at)
SELECT 'cus_01' || lpad(upper(to_hex(n)), 24, '0'), 'customer-' || n, 'Customer ' || n,
       (ARRAY['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Tokyo'])[n % 4 + 1], jsonb_build_object('crm', n::text), t, t
FROM generate_series(1, :licenses) n, (SELECT now() - interval '400 days') AS made (t);

INSERT INTO license (id, customer, plan, plan_version, status, starts_at, ends_at, anchor, trial_ends_at, cancels_at, past_due, grace_until,
                     overrides, grants, due_at, created_at, updated_at)
SELECT id, customer, plan, 1, status, starts_at, ends_at, starts_at, trial_ends_at, cancels_at, grace_until IS NOT NULL, grace_until,
       CASE WHEN n % 100 = 7 THEN jsonb_build_array(jsonb_build_object('id', 'ovr_' || substr(id, 5), 'feature', 'calls', 'enabled', true,
           'quota', jsonb_build_object('limit', 5000, 'period', 'month', 'mode', 'hard'), 'starts_at', starts_at, 'reason', 'launch', 'create_time', starts_at)) ELSE '[]' END,
       CASE WHEN n % 50 = 9 THEN jsonb_build_array(jsonb_build_object('id', 'grt_' || substr(id, 5), 'feature', 'calls', 'units', 500,
           'starts_at', starts_at, 'create_time', starts_at)) ELSE '[]' END,
       (SELECT min(d) FROM unnest(ARRAY[starts_at, ends_at, trial_ends_at, cancels_at, grace_until]) d WHERE d > now() AND status IN ('active', 'suspended')),
       t, t
FROM (
    SELECT n, t, 'lic_01' || lpad(upper(to_hex(n)), 24, '0') AS id, 'cus_01' || lpad(upper(to_hex(n)), 24, '0') AS customer,
           CASE WHEN n % 20 = 1 THEN 'enterprise' WHEN n % 20 < 5 THEN 'pro' ELSE 'free' END AS plan,
           CASE WHEN n % (:licenses / 20) = 11 THEN 'revoked' WHEN n % 25 = 3 THEN 'canceled' WHEN n % (:licenses / 20) = 12 THEN 'suspended' ELSE 'active' END AS status,
           CASE WHEN n % (:licenses / 20) = 14 THEN now() + interval '30 days' ELSE t END AS starts_at,
           CASE WHEN n % 10 = 5 THEN now() - interval '20 days' WHEN n % 10 < 5 THEN now() + interval '200 days' + n * interval '1 second' END AS ends_at,
           CASE WHEN n % (:licenses / 20) = 16 THEN now() + interval '10 days' END AS trial_ends_at,
           CASE WHEN n % (:licenses / 20) = 17 THEN now() + interval '40 days' END AS cancels_at,
           CASE WHEN n % (:licenses / 20) = 18 THEN now() + interval '5 days' END AS grace_until
    FROM generate_series(1, :licenses) n, (SELECT now() - interval '400 days') AS made (t)
) made;

INSERT INTO api_key (id, license, display_name, prefix, hash, created_at)
SELECT 'key_01' || lpad(upper(to_hex(n)), 24, '0'), 'lic_01' || lpad(upper(to_hex(n)), 24, '0'), 'main', 'tg_live_' || lpad(to_hex(n), 12, '0'),
       sha256(n::text::bytea), now() - interval '400 days'
FROM generate_series(1, :licenses) n;

INSERT INTO usage_minute (license, meter, counter_generation, minute, units)
SELECT 'lic_01' || lpad(upper(to_hex(n)), 24, '0'), 'requests', 1, date_trunc('minute', now() - interval '1 hour'), n % 900
FROM generate_series(1, :licenses) n;

INSERT INTO license_event (number, license, time, recorded_at, kind, detail)
SELECT h.number + n, 'lic_01' || lpad(upper(to_hex(n)), 24, '0'), now() - interval '400 days', now() - interval '400 days', 'issued',
       '{"status": "active", "plan": "free", "version": "1"}'
FROM generate_series(1, :licenses) n, license_event_head h;
UPDATE license_event_head SET number = number + :licenses;

RESET session_replication_role;
-- What autovacuum would come to do in the middle of the measurement, of the one system and not of the other.
ALTER SYSTEM SET autovacuum = off;
VACUUM (ANALYZE) customer, license, api_key, usage_minute, license_event;
ALTER SYSTEM RESET max_wal_size;
SELECT FROM pg_reload_conf();
CHECKPOINT;
