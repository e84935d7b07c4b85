-- +goose Up

-- What nodes were told last of each object of the rules: the digest of its record. Written under rule_head's lock.
CREATE TABLE rule_record (
    key    text PRIMARY KEY, -- <kind>/<id>
    digest bytea NOT NULL CHECK (length(digest) = 16)
);

-- The sum of all these digests; NULL: not known, as long as no resync has filled them in.
ALTER TABLE rule_head ADD COLUMN state_hash bytea CHECK (length(state_hash) = 16);

-- +goose Down

ALTER TABLE rule_head DROP COLUMN state_hash;
DROP TABLE rule_record;
