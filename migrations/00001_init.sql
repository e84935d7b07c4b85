-- +goose Up

-- One row: what this fleet is. `pepper` keys the HMAC under which API keys and
-- tokens are stored.
CREATE TABLE fleet (
    singleton   boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    id          text NOT NULL,
    env         text NOT NULL,
    pepper      bytea NOT NULL,
    error_base_url text NOT NULL,
    stale_after interval NOT NULL DEFAULT '15 seconds',
    grace_after interval NOT NULL DEFAULT '15 minutes',
    block_after interval NOT NULL DEFAULT '24 hours',
    loan_horizon interval NOT NULL DEFAULT '60 seconds',
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- One row: the newest rule state. Every write that touches rules locks it, so
-- epochs are taken in commit order and without gaps.
CREATE TABLE rule_head (
    singleton  boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    generation bigint NOT NULL,
    number     bigint NOT NULL,
    hash       bytea NOT NULL
);

-- The outbox of the rules stream: the exact unsigned bytes of each change set.
CREATE TABLE rule_envelope (
    generation bigint NOT NULL,
    number     bigint NOT NULL,
    payload    bytea NOT NULL,
    hash       bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (generation, number)
);

CREATE TABLE api_token (
    id           text PRIMARY KEY,
    display_name text NOT NULL,
    role         text NOT NULL CHECK (role IN ('viewer', 'support', 'billing', 'editor', 'owner')),
    hash         bytea NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    revoked_at   timestamptz
);

CREATE TABLE customer (
    id           text PRIMARY KEY,
    external_id  text NOT NULL UNIQUE,
    display_name text NOT NULL,
    time_zone    text NOT NULL,
    metadata     jsonb NOT NULL DEFAULT '{}',
    revision     bigint NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    archived_at  timestamptz
);

CREATE TABLE meter (
    key          text PRIMARY KEY,
    display_name text NOT NULL,
    aggregation  text NOT NULL CHECK (aggregation IN ('count', 'sum')),
    revision     bigint NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    archived_at  timestamptz
);

CREATE TABLE feature (
    key          text PRIMARY KEY,
    display_name text NOT NULL,
    type         text NOT NULL CHECK (type IN ('boolean', 'metered')),
    meter        text REFERENCES meter (key),
    revision     bigint NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    archived_at  timestamptz,
    CHECK ((type = 'metered') = (meter IS NOT NULL))
);

CREATE TABLE plan (
    key          text PRIMARY KEY,
    display_name text NOT NULL,
    revision     bigint NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    archived_at  timestamptz
);

CREATE TABLE plan_version (
    plan         text NOT NULL REFERENCES plan (key),
    version      integer NOT NULL CHECK (version > 0),
    state        text NOT NULL CHECK (state IN ('draft', 'published', 'archived')),
    entitlements jsonb NOT NULL DEFAULT '[]',
    rate_limits  jsonb NOT NULL DEFAULT '[]',
    rate_cards   jsonb NOT NULL DEFAULT '[]',
    revision     bigint NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    published_at timestamptz,
    PRIMARY KEY (plan, version)
);
CREATE UNIQUE INDEX plan_version_one_draft ON plan_version (plan) WHERE state = 'draft';

CREATE TABLE service (
    key          text PRIMARY KEY,
    display_name text NOT NULL,
    endpoints    text[] NOT NULL,
    revision     bigint NOT NULL DEFAULT 1,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    archived_at  timestamptz
);

CREATE TABLE route (
    key               text PRIMARY KEY,
    display_name      text NOT NULL,
    service           text NOT NULL REFERENCES service (key),
    host              text NOT NULL,
    path              text NOT NULL,
    methods           text[] NOT NULL,
    requires          text[] NOT NULL,
    meter             text REFERENCES meter (key),
    cost_fixed        bigint NOT NULL CHECK (cost_fixed >= 0),
    bill_open_intents boolean NOT NULL DEFAULT true,
    revision          bigint NOT NULL DEFAULT 1,
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    archived_at       timestamptz
);

CREATE TABLE license (
    id                 text PRIMARY KEY,
    customer           text NOT NULL REFERENCES customer (id),
    plan               text NOT NULL,
    plan_version       integer NOT NULL,
    -- What people decided; scheduled and expired follow from the dates.
    status             text NOT NULL CHECK (status IN ('active', 'suspended', 'canceled', 'revoked')),
    starts_at          timestamptz NOT NULL,
    ends_at            timestamptz,
    anchor             timestamptz NOT NULL,
    counter_generation bigint NOT NULL DEFAULT 1,
    revision           bigint NOT NULL DEFAULT 1,
    created_at         timestamptz NOT NULL DEFAULT now(),
    updated_at         timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (plan, plan_version) REFERENCES plan_version (plan, version),
    CHECK (ends_at IS NULL OR ends_at > starts_at)
);
CREATE INDEX license_customer ON license (customer, id);
CREATE INDEX license_plan ON license (plan, plan_version);

CREATE TABLE api_key (
    id           text PRIMARY KEY,
    license      text NOT NULL REFERENCES license (id),
    display_name text NOT NULL,
    prefix       text NOT NULL,
    hash         bytea NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX api_key_license ON api_key (license, id);

-- The ledger's heads: which segments of which boot are in. Kept for ever.
CREATE TABLE boot_head (
    boot       text PRIMARY KEY,
    node       text NOT NULL,
    number     bigint NOT NULL,
    hash       bytea NOT NULL,
    closed     boolean NOT NULL DEFAULT false,
    sealed_at  timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX boot_head_node ON boot_head (node, created_at);

CREATE TABLE decision (
    id               text PRIMARY KEY,
    time             timestamptz NOT NULL,
    node             text NOT NULL,
    boot             text NOT NULL,
    seq              bigint NOT NULL,
    epoch_generation bigint NOT NULL,
    epoch_number     bigint NOT NULL,
    outcome          text NOT NULL,
    code             text NOT NULL,
    customer         text NOT NULL,
    license          text NOT NULL,
    plan             text NOT NULL,
    plan_version     integer NOT NULL,
    credential       text NOT NULL,
    route            text NOT NULL,
    method           text NOT NULL,
    path             text NOT NULL,
    client_ip        text NOT NULL,
    policy           text NOT NULL,
    cost             bigint NOT NULL,
    status           integer NOT NULL,
    upstream_status  integer NOT NULL DEFAULT 0,
    duration_us      bigint NOT NULL DEFAULT 0,
    overhead_us      bigint NOT NULL DEFAULT 0,
    bytes_in         bigint NOT NULL DEFAULT 0,
    bytes_out        bigint NOT NULL DEFAULT 0,
    trace_id         text NOT NULL DEFAULT '',
    -- Whether it has ended, and whether its cost is in usage_minute.
    settled          boolean NOT NULL,
    counted          boolean NOT NULL
);
CREATE INDEX decision_time ON decision (time DESC, id DESC);
CREATE INDEX decision_license ON decision (license, time DESC, id DESC);

-- Units counted, by the minute of the decision. `units` moves by what settlements
-- take back, too.
CREATE TABLE usage_minute (
    license            text NOT NULL,
    meter              text NOT NULL,
    counter_generation bigint NOT NULL,
    minute             timestamptz NOT NULL,
    units              bigint NOT NULL,
    PRIMARY KEY (license, meter, counter_generation, minute)
);

-- Hard quotas. lent = what boots hold or have spent; never above the limit in
-- force when it was lent.
CREATE TABLE quota_pool (
    license            text NOT NULL,
    feature            text NOT NULL,
    period_start       bigint NOT NULL,
    counter_generation bigint NOT NULL,
    lent               bigint NOT NULL CHECK (lent >= 0),
    PRIMARY KEY (license, feature, period_start, counter_generation)
);

-- What one boot holds of a pool: granted - returned = held or spent; settled = what
-- its segments say was spent.
CREATE TABLE quota_loan (
    boot               text NOT NULL,
    license            text NOT NULL,
    feature            text NOT NULL,
    period_start       bigint NOT NULL,
    counter_generation bigint NOT NULL,
    granted            bigint NOT NULL DEFAULT 0 CHECK (granted >= 0),
    returned           bigint NOT NULL DEFAULT 0 CHECK (returned >= 0),
    spent              bigint NOT NULL DEFAULT 0,
    settled            bigint NOT NULL DEFAULT 0,
    updated_at         timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (boot, license, feature, period_start, counter_generation)
);
CREATE INDEX quota_loan_pool ON quota_loan (license, feature, period_start, counter_generation);

-- Rate limits. level = tokens in the pool at level_at. Tokens in the pool and tokens
-- that boots hold (granted - closed) are never more than the burst.
CREATE TABLE rate_pool (
    license    text NOT NULL,
    rate_limit text NOT NULL,
    level      double precision NOT NULL,
    level_at   timestamptz NOT NULL,
    PRIMARY KEY (license, rate_limit)
);

-- closed = spent, returned or lapsed. Both only grow.
CREATE TABLE rate_loan (
    boot        text NOT NULL,
    license     text NOT NULL,
    rate_limit  text NOT NULL,
    granted     bigint NOT NULL DEFAULT 0,
    closed      bigint NOT NULL DEFAULT 0 CHECK (closed <= granted),
    lives_until timestamptz NOT NULL,
    PRIMARY KEY (boot, license, rate_limit)
);
CREATE INDEX rate_loan_pool ON rate_loan (license, rate_limit);

CREATE TABLE node (
    name             text PRIMARY KEY,
    boot             text NOT NULL,
    version          text NOT NULL,
    epoch_generation bigint NOT NULL,
    epoch_number     bigint NOT NULL,
    state            text NOT NULL,
    lag_ms           bigint NOT NULL,
    spool_bytes      bigint NOT NULL,
    proxy_rps        double precision NOT NULL,
    -- Orders one boot's reports.
    report           bigint NOT NULL,
    last_seen        timestamptz NOT NULL
);

-- +goose Down

DROP TABLE node, rate_loan, rate_pool, quota_loan, quota_pool, usage_minute, decision, boot_head,
    api_key, license, route, service, plan_version, plan, feature, meter, customer, api_token,
    rule_envelope, rule_head, fleet;
