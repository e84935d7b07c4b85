-- +goose Up

-- What time alone brings about is dated here, and in the licence's record on every node.
--   phases     empty, or all phases of the record in order of time, the one that was current when it was made first. plan,
--              plan_version and counter_generation hold the current one, as of the last write or of due_at.
--   overrides  in order of their start.
--   grants     in the order in which they were made.
--   due_at     the next instant at which time changes something: an event is recorded then.
ALTER TABLE license
    ADD COLUMN phases        jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN overrides     jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN grants        jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN trial_ends_at timestamptz,
    ADD COLUMN cancels_at    timestamptz,
    ADD COLUMN past_due      boolean NOT NULL DEFAULT false,
    ADD COLUMN grace_until   timestamptz,
    ADD COLUMN due_at        timestamptz,
    ADD CHECK (past_due = (grace_until IS NOT NULL));
CREATE INDEX license_due ON license (due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX license_phases ON license USING gin (phases jsonb_path_ops) WHERE phases <> '[]';
CREATE INDEX license_grants ON license USING gin (grants jsonb_path_ops) WHERE grants <> '[]';
CREATE INDEX license_overrides ON license USING gin (overrides jsonb_path_ops) WHERE overrides <> '[]';

-- From when on new licences are issued on a version. Null: since it was published.
ALTER TABLE plan_version ADD COLUMN effective_at timestamptz;

-- Each change of a licence's state, by people or by time. Numbers follow commit order, so a reader who goes on from the last
-- number that he saw misses nothing.
CREATE TABLE license_event (
    number      bigint PRIMARY KEY,
    license     text NOT NULL REFERENCES license (id),
    time        timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    kind        text NOT NULL,
    detail      jsonb NOT NULL
);
CREATE INDEX license_event_license ON license_event (license, number);

CREATE TABLE license_event_head (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    number    bigint NOT NULL
);
INSERT INTO license_event_head (number) VALUES (0);

-- Licences that move to a published version, batch by batch. progress is the id of the last one looked at.
CREATE TABLE plan_migration (
    plan         text NOT NULL,
    version      integer NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('now', 'next_period', 'filter')),
    filter       jsonb NOT NULL DEFAULT '{}',
    effective_at timestamptz NOT NULL,
    progress     text NOT NULL DEFAULT '',
    moved        bigint NOT NULL DEFAULT 0,
    -- What had to be moved when that was counted; null: not counted yet.
    total        bigint,
    done         boolean NOT NULL DEFAULT false,
    -- The epoch of the last batch.
    generation   bigint NOT NULL DEFAULT 0,
    number       bigint NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (plan, version),
    FOREIGN KEY (plan, version) REFERENCES plan_version (plan, version)
);
CREATE INDEX plan_migration_open ON plan_migration (created_at) WHERE NOT done;

-- +goose Down

DROP TABLE plan_migration, license_event_head, license_event;
ALTER TABLE plan_version DROP COLUMN effective_at;
ALTER TABLE license
    DROP COLUMN phases, DROP COLUMN overrides, DROP COLUMN grants, DROP COLUMN trial_ends_at, DROP COLUMN cancels_at, DROP COLUMN past_due,
    DROP COLUMN grace_until, DROP COLUMN due_at;
