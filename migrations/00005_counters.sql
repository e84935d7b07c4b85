-- +goose Up

-- Hard quotas are counted by (licence, meter, period, generation), not by the feature that grants them: a licence that changes its
-- plan keeps what it has used. Nothing was released with the tables of before.
DROP FUNCTION close_boot(text);
DROP FUNCTION lend_quota(text, text, text, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint);
DROP TABLE quota_loan, quota_pool;

-- Locked by whoever lends, or gives back, units of a licence's meter. Pools, loans and draws change under this lock only.
CREATE TABLE quota_counter (
    license text NOT NULL,
    meter   text NOT NULL,
    PRIMARY KEY (license, meter)
);

-- Units of a grant that were lent in a pool, beside those of the quota itself. rank is the grant's place in the burn order when it was
-- drawn from: below zero before the quota, else after it. Units come back in the reverse order.
CREATE TABLE quota_draw (
    grant_id           text NOT NULL,
    license            text NOT NULL,
    meter              text NOT NULL,
    counter_generation bigint NOT NULL,
    period_end         bigint NOT NULL,
    period_start       bigint NOT NULL,
    rank               integer NOT NULL,
    units              bigint NOT NULL CHECK (units >= 0),
    PRIMARY KEY (grant_id, license, meter, counter_generation, period_end, period_start)
);
CREATE INDEX quota_draw_pool ON quota_draw (license, meter, counter_generation, period_end, period_start);

-- What is used of a meter in one period, for the sake of hard quotas: lent units, and those that were counted without a loan. A
-- licence has several whose periods overlap where its quota has had several periods; every unit is charged to all of them. A
-- lifetime's period_end is the largest bigint.
CREATE TABLE quota_pool (
    license            text NOT NULL,
    meter              text NOT NULL,
    counter_generation bigint NOT NULL,
    period_end         bigint NOT NULL,
    period_start       bigint NOT NULL,
    lent               bigint NOT NULL CHECK (lent >= 0),
    -- What the period before has left for this one.
    rolled             bigint NOT NULL DEFAULT 0 CHECK (rolled >= 0),
    PRIMARY KEY (license, meter, counter_generation, period_end, period_start)
);

-- What one boot holds of a pool: granted - returned = held or spent; settled = what its segments say was spent.
CREATE TABLE quota_loan (
    boot               text NOT NULL,
    license            text NOT NULL,
    meter              text NOT NULL,
    counter_generation bigint NOT NULL,
    period_end         bigint NOT NULL,
    period_start       bigint NOT NULL,
    granted            bigint NOT NULL DEFAULT 0 CHECK (granted >= 0),
    returned           bigint NOT NULL DEFAULT 0 CHECK (returned >= 0),
    spent              bigint NOT NULL DEFAULT 0,
    settled            bigint NOT NULL DEFAULT 0,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (boot, license, meter, counter_generation, period_end, period_start)
);
CREATE INDEX quota_loan_pool ON quota_loan (license, meter, counter_generation, period_end, period_start);

-- What a new pool begins with: what was counted in its period already, and what is out on loans of periods that overlap, for it
-- may still be spent. One statement, so that a loan which is being settled is seen on one side only.
-- +goose StatementBegin
CREATE FUNCTION quota_used(p_license text, p_meter text, p_generation bigint, p_start bigint, p_end bigint) RETURNS bigint
LANGUAGE sql AS $$
    SELECT greatest(0, coalesce((
            SELECT sum(u.units) FROM usage_minute u
            WHERE u.license = p_license AND u.meter = p_meter AND u.counter_generation = p_generation
                AND u.minute >= date_trunc('minute', to_timestamp(p_start))
                AND (p_end > 253402300799 OR u.minute < to_timestamp(p_end))), 0)
        + coalesce((
            SELECT sum(greatest(l.granted - l.returned - l.settled, 0)) FROM quota_loan l
            WHERE l.license = p_license AND l.meter = p_meter AND l.counter_generation = p_generation
                AND l.period_end > p_start AND l.period_start < p_end), 0))::bigint
$$;
-- +goose StatementEnd

-- Gives units back to a pool: to the grants that they were drawn from, last drawn first, and to the quota; the part that was the quota's own
-- goes back to all pools that it was charged to. The caller holds the counter's lock.
-- +goose StatementBegin
CREATE FUNCTION quota_give_back(p_license text, p_meter text, p_generation bigint, p_start bigint, p_end bigint, p_units bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_left bigint := p_units;
    v_own  bigint;
    v_take bigint;
    r      record;
BEGIN
    IF p_units <= 0 THEN
        RETURN;
    END IF;
    -- What is lent of the quota itself, between the draws of rank >= 0 and those below.
    SELECT greatest(p.lent - coalesce((
            SELECT sum(d.units) FROM quota_draw d
            WHERE d.license = p_license AND d.meter = p_meter AND d.counter_generation = p_generation
                AND d.period_end = p_end AND d.period_start = p_start), 0), 0)
    INTO v_own FROM quota_pool p
    WHERE p.license = p_license AND p.meter = p_meter AND p.counter_generation = p_generation
        AND p.period_end = p_end AND p.period_start = p_start;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    FOR r IN
        SELECT d.grant_id, d.rank, d.units FROM quota_draw d
        WHERE d.license = p_license AND d.meter = p_meter AND d.counter_generation = p_generation
            AND d.period_end = p_end AND d.period_start = p_start AND d.units > 0
        UNION ALL
        SELECT NULL, -1, v_own
        ORDER BY rank DESC, grant_id DESC NULLS FIRST
    LOOP
        v_take := least(v_left, r.units);
        v_left := v_left - v_take;
        CONTINUE WHEN v_take <= 0;
        IF r.grant_id IS NULL THEN
            UPDATE quota_pool p SET lent = greatest(p.lent - v_take, 0)
            WHERE p.license = p_license AND p.meter = p_meter AND p.counter_generation = p_generation
                AND p.period_end > p_start AND p.period_start < p_end;
        ELSE
            UPDATE quota_draw d SET units = d.units - v_take
            WHERE d.grant_id = r.grant_id AND d.license = p_license AND d.meter = p_meter AND d.counter_generation = p_generation
                AND d.period_end = p_end AND d.period_start = p_start;
            UPDATE quota_pool p SET lent = greatest(p.lent - v_take, 0)
            WHERE p.license = p_license AND p.meter = p_meter AND p.counter_generation = p_generation
                AND p.period_end = p_end AND p.period_start = p_start;
        END IF;
    END LOOP;
END
$$;
-- +goose StatementEnd

-- Lends units of a hard quota to a boot. One call is one grant: the counter's row is locked first, and everything is read after that, so
-- lent <= limit holds for any number of callers. p_spent and p_returned are the boot's totals; merging takes the maximum. p_want = 0
-- only reports, and makes no pool. `idle` is what other boots hold unspent; it is counted only where what was waiting was not
-- met, or nothing was lent.
--
-- p_grants are the grants that hold now, in burn order, with their units; the first p_before of them burn before the quota, the others
-- after it. What is drawn from a grant is not charged to other pools.
--
-- p_rollover is how much of the period before (p_prev_*; p_prev_end 0: there was none) may be carried over. Units that boots still hold of it count as
-- used until they come back, so what is carried over grows while they do.
--
-- The advisory lock keeps close_boot away, which gives back what a boot holds: a grant after that would never come back.
-- +goose StatementBegin
CREATE FUNCTION lend_quota(
    p_boot text, p_license text, p_meter text, p_generation bigint, p_start bigint, p_end bigint,
    p_limit bigint, p_rollover bigint, p_prev_start bigint, p_prev_end bigint, p_prev_limit bigint, p_grants text[], p_units bigint[], p_before integer,
    p_waiting bigint, p_want bigint, p_nodes bigint, p_spent bigint, p_returned bigint,
    OUT closed boolean, OUT granted bigint, OUT added bigint, OUT remaining bigint, OUT idle bigint
) LANGUAGE plpgsql AS $$
DECLARE
    v_lent     bigint;
    v_drawn    bigint;
    v_own      bigint; -- What is left of the quota itself.
    v_left     bigint[] := '{}'; -- What is left of each grant.
    v_spent    bigint;
    v_returned bigint;
    v_new      bigint;
    v_open     bigint;
    v_take     bigint;
    v_charge   bigint := 0; -- What is taken of the quota itself.
    v_rolled   bigint := 0;
BEGIN
    closed := false; granted := 0; added := 0; remaining := 0; idle := 0;
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('boot ' || p_boot, 0));
    IF EXISTS (SELECT FROM boot_head h WHERE h.boot = p_boot AND h.closed) THEN
        closed := true;
        RETURN;
    END IF;
    LOOP
        PERFORM FROM quota_counter c
        WHERE c.license = p_license AND c.meter = p_meter
        FOR UPDATE;
        EXIT WHEN FOUND;
        IF p_want = 0 THEN
            RETURN;
        END IF;
        INSERT INTO quota_counter (license, meter) VALUES (p_license, p_meter)
        ON CONFLICT DO NOTHING;
    END LOOP;
    IF NOT EXISTS (
        SELECT FROM quota_pool p
        WHERE p.license = p_license AND p.meter = p_meter AND p.counter_generation = p_generation
            AND p.period_end = p_end AND p.period_start = p_start)
    THEN
        IF p_want = 0 THEN
            RETURN;
        END IF;
        INSERT INTO quota_pool (license, meter, counter_generation, period_end, period_start, lent)
        VALUES (p_license, p_meter, p_generation, p_end, p_start, quota_used(p_license, p_meter, p_generation, p_start, p_end));
    END IF;

    SELECT l.granted, l.returned, l.spent INTO granted, v_returned, v_spent FROM quota_loan l
    WHERE l.boot = p_boot AND l.license = p_license AND l.meter = p_meter AND l.counter_generation = p_generation
        AND l.period_end = p_end AND l.period_start = p_start;
    IF NOT FOUND THEN
        granted := 0;
        v_returned := 0;
        v_spent := 0;
    END IF;
    -- Nobody gives back what he was not lent, or says to have spent.
    v_new := greatest(v_returned, least(p_returned, granted - greatest(p_spent, 0)));
    PERFORM quota_give_back(p_license, p_meter, p_generation, p_start, p_end, v_new - v_returned);

    SELECT p.lent INTO v_lent FROM quota_pool p
    WHERE p.license = p_license AND p.meter = p_meter AND p.counter_generation = p_generation
        AND p.period_end = p_end AND p.period_start = p_start;
    SELECT coalesce(sum(d.units), 0) INTO v_drawn FROM quota_draw d
    WHERE d.license = p_license AND d.meter = p_meter AND d.counter_generation = p_generation
        AND d.period_end = p_end AND d.period_start = p_start;
    IF p_rollover > 0 AND p_prev_end > 0 THEN
        SELECT least(p_rollover, greatest(0, p_prev_limit + p.rolled - (p.lent - coalesce((
                SELECT sum(d.units) FROM quota_draw d
                WHERE d.license = p_license AND d.meter = p_meter AND d.counter_generation = p_generation
                    AND d.period_end = p_prev_end AND d.period_start = p_prev_start), 0))))
        INTO v_rolled FROM quota_pool p
        WHERE p.license = p_license AND p.meter = p_meter AND p.counter_generation = p_generation
            AND p.period_end = p_prev_end AND p.period_start = p_prev_start;
        IF NOT FOUND THEN
            v_rolled := least(p_rollover, greatest(0, p_prev_limit - quota_used(p_license, p_meter, p_generation, p_prev_start, p_prev_end)));
        END IF;
        UPDATE quota_pool p SET rolled = v_rolled
        WHERE p.license = p_license AND p.meter = p_meter AND p.counter_generation = p_generation
            AND p.period_end = p_end AND p.period_start = p_start AND p.rolled <> v_rolled;
    END IF;
    v_own := greatest(p_limit + v_rolled - (v_lent - v_drawn), 0);
    remaining := v_own;
    FOR i IN 1 .. cardinality(p_grants) LOOP
        v_left[i] := greatest(p_units[i] - coalesce((SELECT sum(d.units) FROM quota_draw d WHERE d.grant_id = p_grants[i]), 0), 0);
        remaining := remaining + v_left[i];
    END LOOP;
    IF p_want > 0 AND remaining > 0 THEN
        added := least(remaining, greatest(p_waiting, least(p_want, (remaining + 2 * p_nodes - 1) / (2 * p_nodes))));
    END IF;
    remaining := remaining - added;
    granted := granted + added;

    -- In burn order: grants before the quota, the quota, grants after it.
    v_open := added;
    FOR i IN 1 .. cardinality(p_grants) + 1 LOOP
        IF i = p_before + 1 THEN
            v_charge := least(v_open, v_own);
            v_open := v_open - v_charge;
        END IF;
        EXIT WHEN i > cardinality(p_grants);
        v_take := least(v_open, v_left[i]);
        CONTINUE WHEN v_take <= 0;
        v_open := v_open - v_take;
        INSERT INTO quota_draw AS d (grant_id, license, meter, counter_generation, period_end, period_start, rank, units)
        VALUES (p_grants[i], p_license, p_meter, p_generation, p_end, p_start, i - p_before - CASE WHEN i > p_before THEN 1 ELSE 2 END, v_take)
        ON CONFLICT (grant_id, license, meter, counter_generation, period_end, period_start) DO UPDATE
        SET units = d.units + excluded.units, rank = excluded.rank;
    END LOOP;
    IF added > 0 THEN
        UPDATE quota_pool p
        SET lent = p.lent + CASE WHEN p.period_end = p_end AND p.period_start = p_start THEN added ELSE v_charge END
        WHERE p.license = p_license AND p.meter = p_meter AND p.counter_generation = p_generation
            AND p.period_end > p_start AND p.period_start < p_end;
    END IF;
    IF added > 0 OR granted > 0 AND (v_new > v_returned OR p_spent > v_spent) THEN
        INSERT INTO quota_loan AS l (boot, license, meter, counter_generation, period_end, period_start, granted, returned, spent)
        VALUES (p_boot, p_license, p_meter, p_generation, p_end, p_start, lend_quota.granted, v_new, greatest(p_spent, 0))
        ON CONFLICT (boot, license, meter, counter_generation, period_end, period_start) DO UPDATE
        SET granted = excluded.granted, returned = excluded.returned,
            spent = greatest(l.spent, excluded.spent), updated_at = now();
    END IF;

    IF added < greatest(p_waiting, least(p_want, 1)) THEN
        SELECT coalesce(sum(greatest(l.granted - l.returned - greatest(l.spent, l.settled), 0)), 0) INTO idle
        FROM quota_loan l
        WHERE l.license = p_license AND l.meter = p_meter AND l.counter_generation = p_generation
            AND l.period_end = p_end AND l.period_start = p_start
            AND l.boot <> p_boot
            AND NOT EXISTS (SELECT FROM boot_head h WHERE h.boot = l.boot AND h.closed);
    END IF;
END
$$;
-- +goose StatementEnd

-- Gives back what a boot held of quotas and did not spend. Its last segment is in, so settled is all that it spent. The caller
-- holds the boot's advisory lock, and has set boot_head.closed.
-- +goose StatementBegin
CREATE FUNCTION close_boot(p_boot text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM quota_counter c
    WHERE EXISTS (SELECT FROM quota_loan l WHERE l.boot = p_boot AND l.license = c.license AND l.meter = c.meter)
    ORDER BY c.license COLLATE "C", c.meter COLLATE "C"
    FOR UPDATE;

    PERFORM quota_give_back(l.license, l.meter, l.counter_generation, l.period_start, l.period_end, l.granted - l.returned - l.settled)
    FROM quota_loan l
    WHERE l.boot = p_boot AND l.granted - l.returned > l.settled;

    UPDATE quota_loan l SET returned = greatest(l.returned, l.granted - l.settled), updated_at = now()
    WHERE l.boot = p_boot;

    -- Tokens end by themselves. What has ended need not be added up for ever.
    DELETE FROM rate_loan l WHERE l.boot = p_boot AND l.closed = l.granted;
END
$$;
-- +goose StatementEnd

-- +goose Down

DROP FUNCTION close_boot(text);
DROP FUNCTION lend_quota(text, text, text, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, text[], bigint[], integer, bigint, bigint, bigint, bigint, bigint);
DROP FUNCTION quota_used(text, text, bigint, bigint, bigint);
DROP FUNCTION quota_give_back(text, text, bigint, bigint, bigint, bigint);
DROP TABLE quota_draw, quota_loan, quota_pool, quota_counter;
CREATE TABLE quota_pool (
    license            text NOT NULL,
    feature            text NOT NULL,
    period_start       bigint NOT NULL,
    counter_generation bigint NOT NULL,
    lent               bigint NOT NULL CHECK (lent >= 0),
    PRIMARY KEY (license, feature, period_start, counter_generation)
);
CREATE TABLE quota_loan (
    boot               text NOT NULL,
    license            text NOT NULL,
    feature            text NOT NULL,
    period_start       bigint NOT NULL,
    counter_generation bigint NOT NULL,
    granted            bigint NOT NULL DEFAULT 0 CHECK (granted >= 0),
    returned           bigint NOT NULL DEFAULT 0 CHECK (returned >= 0),
    spent              bigint NOT NULL DEFAULT 0,
    settled            bigint NOT NULL DEFAULT 0,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (boot, license, feature, period_start, counter_generation)
);
CREATE INDEX quota_loan_pool ON quota_loan (license, feature, period_start, counter_generation);
-- +goose StatementBegin
CREATE FUNCTION lend_quota(
    p_boot text, p_license text, p_feature text, p_period_start bigint, p_generation bigint,
    p_limit bigint, p_waiting bigint, p_want bigint, p_nodes bigint, p_spent bigint, p_returned bigint,
    OUT closed boolean, OUT granted bigint, OUT added bigint, OUT remaining bigint, OUT idle bigint
) LANGUAGE plpgsql AS $$ BEGIN RAISE 'run the control plane that this schema is for'; END $$;
CREATE FUNCTION close_boot(p_boot text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN RAISE 'run the control plane that this schema is for'; END $$;
-- +goose StatementEnd
