-- +goose Up

-- Whether nodes serve by the rules on their disk after an unclean end, before they have heard that they are current.
ALTER TABLE fleet ADD COLUMN offline_start boolean NOT NULL DEFAULT false;

-- +goose Down

ALTER TABLE fleet DROP COLUMN offline_start;
