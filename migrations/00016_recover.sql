-- +goose Up

-- What a node has proved to enforce at least: the epoch, and its envelope's hash, of the newest heartbeat that it has of this fleet. Zero: nothing yet.
-- drained_at: it was told to stop and did, or an operator said that it is gone; it counts no more among those that an epoch has to reach.
ALTER TABLE node
    ADD COLUMN proven_generation bigint NOT NULL DEFAULT 0,
    ADD COLUMN proven_number bigint NOT NULL DEFAULT 0,
    ADD COLUMN proven_hash bytea NOT NULL DEFAULT '',
    ADD COLUMN drained_at timestamptz;

-- One row: what the publisher that leads says. `stopped` is why it publishes nothing, empty where it does. `instance` is the Postgres that it last
-- published from: its system identifier and timeline, which are others after a restore and after a promotion.
CREATE TABLE publisher_state (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    stopped    text NOT NULL DEFAULT '',
    stopped_at timestamptz,
    instance   text NOT NULL DEFAULT ''
);
INSERT INTO publisher_state DEFAULT VALUES;

-- +goose Down

DROP TABLE publisher_state;
ALTER TABLE node
    DROP COLUMN proven_generation,
    DROP COLUMN proven_number,
    DROP COLUMN proven_hash,
    DROP COLUMN drained_at;
