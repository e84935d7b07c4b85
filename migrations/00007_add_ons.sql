-- +goose Up

-- What licences can have beside their plan. version is the one that holds.
CREATE TABLE add_on (
    key          text PRIMARY KEY,
    display_name text NOT NULL,
    version      integer NOT NULL CHECK (version > 0),
    revision     bigint NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    archived_at  timestamptz
);

-- What an add-on granted and cost from when on. Kept for ever: a later invoice has to say which prices held when.
CREATE TABLE add_on_version (
    add_on       text NOT NULL REFERENCES add_on (key),
    version      integer NOT NULL CHECK (version > 0),
    entitlements jsonb NOT NULL,
    rate_cards   jsonb NOT NULL,
    effective_at timestamptz NOT NULL,
    PRIMARY KEY (add_on, version)
);

-- add_ons: in order of their start.
ALTER TABLE license ADD COLUMN add_ons jsonb NOT NULL DEFAULT '[]';
CREATE INDEX license_add_ons ON license USING gin (add_ons jsonb_path_ops) WHERE add_ons <> '[]';

-- +goose Down

ALTER TABLE license DROP COLUMN add_ons;
DROP TABLE add_on_version, add_on;
