-- +goose Up

-- Keys of nodes that are stopped. A node that never joined has a key that nobody wrote down: its row has none, and means all keys but one that
-- joins under its name later.
CREATE TABLE node_block (
    node       text NOT NULL,
    public_key bytea NOT NULL,
    nats_user  text NOT NULL,
    reason     text NOT NULL,
    blocked_by text NOT NULL,
    blocked_at timestamptz NOT NULL,
    PRIMARY KEY (node, public_key)
);
CREATE INDEX node_block_public_key ON node_block (public_key);

-- The nodes that are blocked now: their name is held by a blocked key.
CREATE VIEW blocked_node AS
SELECT b.node, b.public_key, b.nats_user, b.reason, b.blocked_by, b.blocked_at
FROM node_block b
LEFT JOIN node_identity i ON i.node = b.node
WHERE b.public_key = coalesce(i.public_key, '');

-- +goose Down

DROP VIEW blocked_node;
DROP TABLE node_block;
