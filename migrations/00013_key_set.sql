-- +goose Up

-- The key sets that were in force, in order: the newest is. signed is what the fleet's root signed, to the byte.
CREATE TABLE key_set (
    place      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    version    bigint NOT NULL CHECK (version > 0),
    signed     bytea NOT NULL,
    created_at timestamptz NOT NULL
);

-- +goose Down

DROP TABLE key_set;
