-- +goose Up

-- Keys that were made elsewhere, known by a keyed hash of their SHA-256. The hash is what nodes find them by, so it
-- names one key.
ALTER TABLE api_key
    ADD COLUMN revision bigint NOT NULL DEFAULT 1,
    ADD COLUMN imported boolean NOT NULL DEFAULT false;
CREATE UNIQUE INDEX api_key_imported_hash ON api_key (hash) WHERE imported;

ALTER TABLE api_token
    ADD COLUMN revision bigint NOT NULL DEFAULT 1;

-- The seller's own id, so that an import can be repeated.
ALTER TABLE license
    ADD COLUMN external_id text;
CREATE UNIQUE INDEX license_external_id ON license (external_id);

-- +goose Down

ALTER TABLE license DROP COLUMN external_id;
ALTER TABLE api_token DROP COLUMN revision;
DROP INDEX api_key_imported_hash;
ALTER TABLE api_key DROP COLUMN imported, DROP COLUMN revision;
