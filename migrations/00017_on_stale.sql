-- +goose Up

-- What a route does by rules that are old.
ALTER TABLE route ADD COLUMN on_stale text NOT NULL DEFAULT 'block' CHECK (on_stale IN ('block', 'serve', 'block_at_grace'));

-- Why a node does not enforce what it was sent; empty where it does.
ALTER TABLE node ADD COLUMN refuses text NOT NULL DEFAULT '';

-- +goose Down

ALTER TABLE node DROP COLUMN refuses;
ALTER TABLE route DROP COLUMN on_stale;
