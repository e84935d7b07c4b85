-- +goose Up

-- Hard quotas are counted by (licence, meter, period, generation), not by the feature that grants them: a licence that changes its
-- plan keeps what it has used. Nothing was released with the tables of before.
DROP FUNCTION close_boot(text);
DROP FUNCTION lend_quota(text, text, text, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint);
DROP TABLE quota_loan, quota_pool;

-- Locked by whoever lends, or gives back, units of a licence's meter. Pools and loans change under this lock only.
CREATE TABLE quota_counter (
    license            text NOT NULL,
    meter              text NOT NULL,
    counter_generation bigint NOT NULL,
    PRIMARY KEY (license, meter, counter_generation)
);

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

-- Lends units of a hard quota to a boot. One call is one grant: the counter's row is locked first, and everything is read after that, so
-- lent <= limit holds for any number of callers. p_spent and p_returned are the boot's totals; merging takes the maximum. p_want = 0
-- only reports, and makes no pool. `idle` is what other boots hold unspent; it is counted only where what was waiting was not
-- met, or nothing was lent.
--
-- The advisory lock keeps close_boot away, which gives back what a boot holds: a grant after that would never come back.
-- +goose StatementBegin
CREATE FUNCTION lend_quota(
    p_boot text, p_license text, p_meter text, p_generation bigint, p_start bigint, p_end bigint,
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
        PERFORM FROM quota_counter c
        WHERE c.license = p_license AND c.meter = p_meter AND c.counter_generation = p_generation
        FOR UPDATE;
        EXIT WHEN FOUND;
        IF p_want = 0 THEN
            RETURN;
        END IF;
        INSERT INTO quota_counter (license, meter, counter_generation) VALUES (p_license, p_meter, p_generation)
        ON CONFLICT DO NOTHING;
    END LOOP;
    SELECT p.lent INTO v_lent FROM quota_pool p
    WHERE p.license = p_license AND p.meter = p_meter AND p.counter_generation = p_generation
        AND p.period_end = p_end AND p.period_start = p_start;
    IF NOT FOUND THEN
        IF p_want = 0 THEN
            RETURN;
        END IF;
        v_lent := quota_used(p_license, p_meter, p_generation, p_start, p_end);
        INSERT INTO quota_pool (license, meter, counter_generation, period_end, period_start, lent)
        VALUES (p_license, p_meter, p_generation, p_end, p_start, v_lent);
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
    v_lent := greatest(v_lent - (v_new - v_returned), 0);
    remaining := greatest(p_limit - v_lent, 0);
    IF p_want > 0 AND remaining > 0 THEN
        added := least(remaining, greatest(p_waiting, least(p_want, (remaining + 2 * p_nodes - 1) / (2 * p_nodes))));
    END IF;
    remaining := remaining - added;
    granted := granted + added;

    IF added > 0 OR v_new > v_returned THEN
        UPDATE quota_pool p SET lent = greatest(p.lent + added - (v_new - v_returned), 0)
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
    WHERE EXISTS (
        SELECT FROM quota_loan l
        WHERE l.boot = p_boot AND l.license = c.license AND l.meter = c.meter AND l.counter_generation = c.counter_generation)
    ORDER BY c.license COLLATE "C", c.meter COLLATE "C", c.counter_generation
    FOR UPDATE;

    UPDATE quota_pool p SET lent = greatest(p.lent - b.units, 0)
    FROM (
        SELECT o.license, o.meter, o.counter_generation, o.period_end, o.period_start,
            sum(greatest(l.granted - l.returned - l.settled, 0)) AS units
        FROM quota_loan l
        JOIN quota_pool o ON o.license = l.license AND o.meter = l.meter AND o.counter_generation = l.counter_generation
            AND o.period_end > l.period_start AND o.period_start < l.period_end
        WHERE l.boot = p_boot
        GROUP BY 1, 2, 3, 4, 5
    ) b
    WHERE p.license = b.license AND p.meter = b.meter AND p.counter_generation = b.counter_generation
        AND p.period_end = b.period_end AND p.period_start = b.period_start;

    UPDATE quota_loan l SET returned = greatest(l.returned, l.granted - l.settled), updated_at = now()
    WHERE l.boot = p_boot;

    -- Tokens end by themselves. What has ended need not be added up for ever.
    DELETE FROM rate_loan l WHERE l.boot = p_boot AND l.closed = l.granted;
END
$$;
-- +goose StatementEnd

-- +goose Down

DROP FUNCTION close_boot(text);
DROP FUNCTION lend_quota(text, text, text, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint, bigint);
DROP FUNCTION quota_used(text, text, bigint, bigint, bigint);
DROP TABLE quota_loan, quota_pool, quota_counter;
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
