-- +goose Up

-- Wakes the publisher when a change set is committed.
-- +goose StatementBegin
CREATE FUNCTION rule_envelope_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('tollgate_rules', '');
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER rule_envelope_notify AFTER INSERT ON rule_envelope
    FOR EACH STATEMENT EXECUTE FUNCTION rule_envelope_notify();

-- Lends units of a hard quota to a boot. One call is one grant: the pool's row is locked first, and everything is read
-- after that, so lent <= limit holds for any number of callers. p_spent and p_returned are the boot's totals; merging takes
-- the maximum. p_want = 0 only reports, and makes no pool. `idle` is what other boots hold unspent; it is counted only where
-- what was waiting was not met, or nothing was lent.
--
-- The advisory lock keeps close_boot away, which gives back what a boot holds: a grant after that would never come back.
-- +goose StatementBegin
CREATE FUNCTION lend_quota(
    p_boot text, p_license text, p_feature text, p_period_start bigint, p_generation bigint,
    p_limit bigint, p_waiting bigint, p_want bigint, p_nodes bigint, p_spent bigint, p_returned bigint,
    OUT closed boolean, OUT granted bigint, OUT added bigint, OUT remaining bigint, OUT idle bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_lent     bigint;
    v_spent    bigint;
    v_returned bigint;
    v_new      bigint;
BEGIN
    closed := false; granted := 0; added := 0; remaining := 0; idle := 0;
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('boot ' || p_boot, 0));
    IF EXISTS (SELECT FROM boot_head h WHERE h.boot = p_boot AND h.closed) THEN
        closed := true;
        RETURN;
    END IF;
    LOOP
        SELECT p.lent INTO v_lent FROM quota_pool p
        WHERE p.license = p_license AND p.feature = p_feature
            AND p.period_start = p_period_start AND p.counter_generation = p_generation
        FOR UPDATE;
        EXIT WHEN FOUND;
        IF p_want = 0 THEN
            RETURN;
        END IF;
        INSERT INTO quota_pool (license, feature, period_start, counter_generation, lent)
        VALUES (p_license, p_feature, p_period_start, p_generation, 0)
        ON CONFLICT DO NOTHING;
    END LOOP;

    SELECT l.granted, l.returned, l.spent INTO granted, v_returned, v_spent FROM quota_loan l
    WHERE l.boot = p_boot AND l.license = p_license AND l.feature = p_feature
        AND l.period_start = p_period_start AND l.counter_generation = p_generation;
    IF NOT FOUND THEN
        granted := 0;
        v_returned := 0;
        v_spent := 0;
    END IF;
    -- Nobody gives back what he was not lent, or says to have spent.
    v_new := greatest(v_returned, least(p_returned, granted - greatest(p_spent, 0)));
    v_lent := v_lent - (v_new - v_returned);
    remaining := greatest(p_limit - v_lent, 0);
    IF p_want > 0 AND remaining > 0 THEN
        added := least(remaining, greatest(p_waiting, least(p_want, (remaining + 2 * p_nodes - 1) / (2 * p_nodes))));
    END IF;
    remaining := remaining - added;
    granted := granted + added;

    IF added > 0 OR v_new > v_returned THEN
        UPDATE quota_pool p SET lent = v_lent + added
        WHERE p.license = p_license AND p.feature = p_feature
            AND p.period_start = p_period_start AND p.counter_generation = p_generation;
    END IF;
    IF added > 0 OR granted > 0 AND (v_new > v_returned OR p_spent > v_spent) THEN
        INSERT INTO quota_loan AS l (boot, license, feature, period_start, counter_generation, granted, returned, spent)
        VALUES (p_boot, p_license, p_feature, p_period_start, p_generation, lend_quota.granted, v_new, greatest(p_spent, 0))
        ON CONFLICT (boot, license, feature, period_start, counter_generation) DO UPDATE
        SET granted = excluded.granted, returned = excluded.returned,
            spent = greatest(l.spent, excluded.spent), updated_at = now();
    END IF;

    IF added < greatest(p_waiting, least(p_want, 1)) THEN
        SELECT coalesce(sum(greatest(l.granted - l.returned - greatest(l.spent, l.settled), 0)), 0) INTO idle
        FROM quota_loan l
        WHERE l.license = p_license AND l.feature = p_feature
            AND l.period_start = p_period_start AND l.counter_generation = p_generation
            AND l.boot <> p_boot
            AND NOT EXISTS (SELECT FROM boot_head h WHERE h.boot = l.boot AND h.closed);
    END IF;
END
$$;
-- +goose StatementEnd

-- Lends tokens of a rate limit to a boot for p_lives seconds. p_closed is the boot's total of tokens spent and ended.
--
-- Tokens in the pool (level) and tokens that boots may still spend (granted - closed) are never more than the burst, and
-- level grows at the rate: so whatever is spent in a window t was held at its start or in the pool then, which is at most the
-- burst, or made in it, which is at most rate * t.
--
-- The level refills against what was held before this report, lapsed loans included. Tokens count as held until the lender learns
-- otherwise, for it does not know when they were spent: a boot that took the burst, waited, and spent it just now must not
-- find that the pool has filled up behind its back; it would spend two bursts at once.
--
-- The clock is read once the pool is locked. Read before, it would be older than the level's own time whenever calls queue.
-- +goose StatementBegin
CREATE FUNCTION lend_rate(
    p_boot text, p_license text, p_rate_limit text, p_rate double precision, p_burst bigint,
    p_waiting bigint, p_want bigint, p_nodes bigint, p_closed bigint, p_lives double precision,
    OUT granted bigint, OUT added bigint, OUT retry_after double precision
) LANGUAGE plpgsql AS $$
DECLARE
    v_level    double precision;
    v_level_at timestamptz;
    v_now      timestamptz;
    v_held     bigint;
    v_closed   bigint;
    -- What the lender adds to a loan's life for the way its answer takes.
    c_margin   CONSTANT interval := '100 milliseconds';
BEGIN
    granted := 0; added := 0; retry_after := 0;
    LOOP
        SELECT p.level, p.level_at INTO v_level, v_level_at FROM rate_pool p
        WHERE p.license = p_license AND p.rate_limit = p_rate_limit
        FOR UPDATE;
        EXIT WHEN FOUND;
        INSERT INTO rate_pool (license, rate_limit, level, level_at)
        VALUES (p_license, p_rate_limit, p_burst, clock_timestamp())
        ON CONFLICT DO NOTHING;
    END LOOP;
    v_now := clock_timestamp();

    SELECT coalesce(sum(l.granted - l.closed), 0) INTO v_held FROM rate_loan l
    WHERE l.license = p_license AND l.rate_limit = p_rate_limit;
    v_level := greatest(0, least(p_burst - v_held,
        v_level + p_rate * greatest(0, extract(epoch FROM v_now - v_level_at))));

    UPDATE rate_loan l SET closed = l.granted
    WHERE l.license = p_license AND l.rate_limit = p_rate_limit AND l.lives_until < v_now AND l.closed < l.granted;

    SELECT l.granted, greatest(l.closed, least(l.granted, p_closed)) INTO granted, v_closed FROM rate_loan l
    WHERE l.boot = p_boot AND l.license = p_license AND l.rate_limit = p_rate_limit;
    IF NOT FOUND THEN
        granted := 0;
        v_closed := 0;
    END IF;

    IF p_want > 0 THEN
        added := least(floor(v_level), greatest(p_waiting, least(p_want, ceil(v_level / p_nodes))))::bigint;
    END IF;
    v_level := v_level - added;
    granted := granted + added;
    IF added < p_want AND v_level < 1 THEN
        retry_after := (1 - v_level) / p_rate;
    END IF;

    UPDATE rate_pool p SET level = v_level, level_at = greatest(v_level_at, v_now)
    WHERE p.license = p_license AND p.rate_limit = p_rate_limit;
    IF added > 0 THEN
        INSERT INTO rate_loan AS l (boot, license, rate_limit, granted, closed, lives_until)
        VALUES (p_boot, p_license, p_rate_limit, lend_rate.granted, v_closed, v_now + make_interval(secs => p_lives) + c_margin)
        ON CONFLICT (boot, license, rate_limit) DO UPDATE
        SET granted = excluded.granted, closed = excluded.closed, lives_until = greatest(l.lives_until, excluded.lives_until);
    ELSIF granted > 0 THEN
        UPDATE rate_loan l SET closed = v_closed
        WHERE l.boot = p_boot AND l.license = p_license AND l.rate_limit = p_rate_limit AND l.closed < v_closed;
    END IF;
END
$$;
-- +goose StatementEnd

-- Gives back what a boot held of quotas and did not spend. Its last segment is in, so settled is all that it spent. The caller
-- holds the boot's advisory lock, and has set boot_head.closed.
-- +goose StatementBegin
CREATE FUNCTION close_boot(p_boot text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM quota_pool p JOIN quota_loan l USING (license, feature, period_start, counter_generation)
    WHERE l.boot = p_boot
    ORDER BY p.license COLLATE "C", p.feature COLLATE "C", p.period_start, p.counter_generation
    FOR UPDATE OF p;

    UPDATE quota_pool p SET lent = p.lent - greatest(l.granted - l.returned - l.settled, 0)
    FROM quota_loan l
    WHERE l.boot = p_boot AND p.license = l.license AND p.feature = l.feature
        AND p.period_start = l.period_start AND p.counter_generation = l.counter_generation;

    UPDATE quota_loan l SET returned = greatest(l.returned, l.granted - l.settled), updated_at = now()
    WHERE l.boot = p_boot;

    -- Tokens end by themselves. What has ended need not be added up for ever.
    DELETE FROM rate_loan l WHERE l.boot = p_boot AND l.closed = l.granted;
END
$$;
-- +goose StatementEnd

-- +goose Down

DROP FUNCTION close_boot(text);
DROP FUNCTION lend_rate(text, text, text, double precision, bigint, bigint, bigint, bigint, bigint, double precision);
DROP FUNCTION lend_quota(text, text, text, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint);
DROP TRIGGER rule_envelope_notify ON rule_envelope;
DROP FUNCTION rule_envelope_notify();
