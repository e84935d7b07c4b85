-- +goose Up

-- Custom rules. subject is all, plan:KEY, license:ID, customer:ID or route:KEY; what it names exists, and is kept from being archived while the
-- term is not.
CREATE TABLE term (
    key            text PRIMARY KEY,
    display_name   text NOT NULL DEFAULT '',
    subject        text NOT NULL,
    condition      text NOT NULL,
    effect         text NOT NULL CHECK (effect IN ('block', 'throttle', 'forward', 'cost')),
    priority       integer NOT NULL,
    retry_after_ms bigint NOT NULL DEFAULT 0,
    cost           bigint,
    message        text NOT NULL DEFAULT '',
    revision       bigint NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    archived_at    timestamptz,
    CHECK ((effect = 'cost') = (cost IS NOT NULL)),
    CHECK ((effect = 'throttle') = (retry_after_ms > 0))
);
CREATE INDEX term_subject ON term (subject) WHERE archived_at IS NULL;

-- Identity providers. Nodes are not told of them yet.
CREATE TABLE issuer (
    key            text PRIMARY KEY,
    display_name   text NOT NULL DEFAULT '',
    issuer         text NOT NULL,
    jwks_file      text NOT NULL DEFAULT '',
    jwks_url       text NOT NULL DEFAULT '',
    discovery      boolean NOT NULL DEFAULT false,
    audiences      text[] NOT NULL,
    customer_claim text NOT NULL DEFAULT '',
    license_claim  text NOT NULL DEFAULT '',
    algorithms     text[] NOT NULL,
    revision       bigint NOT NULL DEFAULT 1,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    archived_at    timestamptz,
    CHECK (num_nonnulls(nullif(jwks_file, ''), nullif(jwks_url, ''), nullif(discovery, false)) = 1),
    CHECK (num_nonnulls(nullif(customer_claim, ''), nullif(license_claim, '')) = 1)
);
-- A token's issuer has one meaning.
CREATE UNIQUE INDEX issuer_issuer ON issuer (issuer) WHERE archived_at IS NULL;

-- +goose Down

DROP TABLE issuer, term;
