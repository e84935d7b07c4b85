-- +goose Up

-- Meters of all aggregations, features that carry a value, trials.
ALTER TABLE meter DROP CONSTRAINT meter_aggregation_check,
    ADD CONSTRAINT meter_aggregation_check CHECK (aggregation IN ('count', 'sum', 'max', 'unique'));

ALTER TABLE feature DROP CONSTRAINT feature_type_check,
    ADD CONSTRAINT feature_type_check CHECK (type IN ('boolean', 'static', 'metered'));

ALTER TABLE plan_version
    ADD COLUMN trial_days integer NOT NULL DEFAULT 0 CHECK (trial_days BETWEEN 0 AND 366);

-- +goose Down

ALTER TABLE plan_version DROP COLUMN trial_days;

ALTER TABLE feature DROP CONSTRAINT feature_type_check,
    ADD CONSTRAINT feature_type_check CHECK (type IN ('boolean', 'metered'));

ALTER TABLE meter DROP CONSTRAINT meter_aggregation_check,
    ADD CONSTRAINT meter_aggregation_check CHECK (aggregation IN ('count', 'sum'));
