-- +goose Up

-- The version of the key set that a node says it holds; 0: it holds none, or is of a release that does not say.
ALTER TABLE node ADD COLUMN key_set bigint NOT NULL DEFAULT 0;

-- +goose Down

ALTER TABLE node DROP COLUMN key_set;
