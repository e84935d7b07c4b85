-- +goose Up

-- Answers of calls that named themselves, so that the same call again gets the same answer. `answer` is encrypted:
-- it may hold a secret that is shown once.
CREATE TABLE admin_call (
    actor       text NOT NULL,
    procedure   text NOT NULL,
    request_id  text NOT NULL,
    fingerprint bytea NOT NULL,
    generation  bigint NOT NULL,
    number      bigint NOT NULL,
    answer      bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (actor, procedure, request_id)
);

CREATE INDEX admin_call_created_at ON admin_call (created_at);

-- Who changed what. `before` and `after` are text, and no jsonb: the hash is over their bytes.
CREATE TABLE audit_event (
    sequence      bigint PRIMARY KEY,
    at            timestamptz NOT NULL,
    actor         text NOT NULL,
    actor_name    text NOT NULL,
    role          text NOT NULL,
    procedure     text NOT NULL,
    kind          text NOT NULL,
    object        text NOT NULL,
    before        text NOT NULL,
    after         text NOT NULL,
    request_id    text NOT NULL,
    generation    bigint NOT NULL,
    number        bigint NOT NULL,
    previous_hash bytea NOT NULL,
    hash          bytea NOT NULL
);

CREATE INDEX audit_event_actor ON audit_event (actor, sequence DESC);
CREATE INDEX audit_event_object ON audit_event (kind, object, sequence DESC);

-- One row: the chain's end. It is locked after rule_head, never before.
CREATE TABLE audit_head (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    sequence  bigint NOT NULL,
    hash      bytea NOT NULL
);

INSERT INTO audit_head (sequence, hash) VALUES (0, '');

-- +goose Down

DROP TABLE audit_head;
DROP TABLE audit_event;
DROP TABLE admin_call;
