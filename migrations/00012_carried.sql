-- +goose Up

-- What a period leaves for the next one, up to a cap: of its pool, or, where nothing was lent of it, what was not used. lend_quota works it out alike, at
-- each loan; a test holds the two together.
-- +goose StatementBegin
CREATE FUNCTION quota_carried(p_license text, p_meter text, p_generation bigint, p_start bigint, p_end bigint, p_limit bigint, p_rollover bigint) RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT least(p_rollover, greatest(0, coalesce((
            SELECT p_limit + p.rolled - p.lent + coalesce((
                SELECT sum(d.units) FROM quota_draw d
                WHERE d.license = p_license AND d.meter = p_meter AND d.counter_generation = p_generation
                    AND d.period_end = p_end AND d.period_start = p_start), 0)
            FROM quota_pool p
            WHERE p.license = p_license AND p.meter = p_meter AND p.counter_generation = p_generation
                AND p.period_end = p_end AND p.period_start = p_start),
        p_limit - quota_used(p_license, p_meter, p_generation, p_start, p_end))))::bigint
$$;
-- +goose StatementEnd

-- +goose Down

DROP FUNCTION quota_carried(text, text, bigint, bigint, bigint, bigint, bigint);
