-- +goose Up

-- Usage that was measured elsewhere, each event once by what its source calls it. They are kept with what they counted: the same event
-- again counts nothing, and another event of that name is seen to be another.
CREATE TABLE usage_event (
    source             text NOT NULL,
    id                 text NOT NULL,
    license            text NOT NULL,
    meter              text NOT NULL,
    counter_generation bigint NOT NULL,
    time               timestamptz NOT NULL,
    units              bigint NOT NULL CHECK (units >= 0),
    created_at         timestamptz NOT NULL,
    PRIMARY KEY (source, id)
);

-- Units by which people moved what was counted in a minute. Nothing that was counted is edited.
CREATE TABLE usage_correction (
    id                 text PRIMARY KEY,
    license            text NOT NULL REFERENCES license (id),
    meter              text NOT NULL REFERENCES meter (key),
    counter_generation bigint NOT NULL,
    minute             timestamptz NOT NULL,
    units              bigint NOT NULL CHECK (units <> 0),
    reason             text NOT NULL,
    actor              text NOT NULL,
    created_at         timestamptz NOT NULL
);
CREATE INDEX usage_correction_license ON usage_correction (license, id);

-- When a licence's counters started anew: what is counted late belongs to the counters of its own time, and a licence's record keeps no
-- phases that are over.
CREATE TABLE counter_start (
    license            text NOT NULL REFERENCES license (id),
    counter_generation bigint NOT NULL,
    starts_at          timestamptz NOT NULL,
    -- The generation that ended then.
    before             bigint NOT NULL,
    PRIMARY KEY (license, counter_generation)
);

-- Where the record of before dates the new counters, that date has come; else they start with the write.
-- +goose StatementBegin
CREATE FUNCTION note_counter_start() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_start  timestamptz := NEW.updated_at;
    v_before bigint := OLD.counter_generation;
    r        record;
BEGIN
    SELECT coalesce(min(p.at), v_start) INTO v_start
    FROM jsonb_to_recordset(OLD.phases) AS p (at timestamptz, counter_generation bigint)
    WHERE p.counter_generation = NEW.counter_generation;
    FOR r IN
        SELECT p.counter_generation, min(p.at) AS at
        FROM jsonb_to_recordset(OLD.phases) AS p (at timestamptz, counter_generation bigint)
        WHERE p.counter_generation > OLD.counter_generation AND p.counter_generation < NEW.counter_generation AND p.at <= v_start
        GROUP BY 1
        UNION ALL
        SELECT NEW.counter_generation, v_start
        ORDER BY 1
    LOOP
        INSERT INTO counter_start (license, counter_generation, starts_at, before)
        VALUES (NEW.id, r.counter_generation, r.at, v_before)
        ON CONFLICT DO NOTHING;
        v_before := r.counter_generation;
    END LOOP;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER license_counter_start AFTER UPDATE OF counter_generation ON license
FOR EACH ROW WHEN (NEW.counter_generation > OLD.counter_generation) EXECUTE FUNCTION note_counter_start();

-- Lists of licences of a status that few have find them, and do not look through all: see the query Licenses.
CREATE INDEX license_decided ON license (status, id) WHERE status <> 'active';
CREATE INDEX license_past_due ON license (id) WHERE past_due;
CREATE INDEX license_starts_at ON license (starts_at);
CREATE INDEX license_ends_at ON license (ends_at) WHERE ends_at IS NOT NULL;
CREATE INDEX license_cancels_at ON license (cancels_at) WHERE cancels_at IS NOT NULL;
CREATE INDEX license_trial_ends_at ON license (trial_ends_at) WHERE trial_ends_at IS NOT NULL;
CREATE INDEX customer_archived ON customer (id) WHERE archived_at IS NOT NULL;

-- +goose Down

DROP INDEX customer_archived, license_trial_ends_at, license_cancels_at, license_ends_at, license_starts_at, license_past_due, license_decided;
DROP TRIGGER license_counter_start ON license;
DROP FUNCTION note_counter_start();
DROP TABLE counter_start, usage_correction, usage_event;
