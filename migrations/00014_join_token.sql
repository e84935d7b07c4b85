-- +goose Up

-- What lets nodes join. The secret is kept as a keyed hash. Its uses are taken where the row says that there are some left, so that nodes that join at once
-- never take more.
CREATE TABLE join_token (
    id         text PRIMARY KEY,
    hash       bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    node       text NOT NULL,
    replaces   boolean NOT NULL,
    uses       integer NOT NULL CHECK (uses > 0),
    used       integer NOT NULL DEFAULT 0,
    expires_at timestamptz NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revision   bigint NOT NULL DEFAULT 1,
    CHECK (used BETWEEN 0 AND uses)
);

-- Who holds a node's name: the key that joined last, and what it was given, so that the same call again gets the same.
CREATE TABLE node_identity (
    node        text PRIMARY KEY,
    public_key  bytea NOT NULL UNIQUE CHECK (octet_length(public_key) = 32),
    nats_user   text NOT NULL UNIQUE,
    token       text NOT NULL REFERENCES join_token,
    certificate bytea NOT NULL,
    nats_jwt    text NOT NULL,
    joined_at   timestamptz NOT NULL,
    renewed_at  timestamptz,
    expires_at  timestamptz NOT NULL
);

-- +goose Down

DROP TABLE node_identity;
DROP TABLE join_token;
