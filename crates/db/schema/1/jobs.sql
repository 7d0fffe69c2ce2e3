-- What the workers have to do.

CREATE TABLE job (
    id {id},
    kind {text} NOT NULL,
    -- Two jobs of a kind with one key are one job, until it is finished.
    key {text} NOT NULL,
    payload {bytes} NOT NULL,
    -- Higher first.
    priority {int} NOT NULL,
    state {int} NOT NULL,
    -- Not before this time.
    due {int} NOT NULL,
    attempts {int} NOT NULL DEFAULT 0,
    -- How often it is tried before it is given up.
    tries {int} NOT NULL,
    worker {text},
    -- The worker has it until then, unless it says that it is still at work.
    leased_until {int},
    progress {text},
    error {text},
    -- It was asked for again while it was worked on.
    again {int} NOT NULL DEFAULT 0 CHECK (again IN (0, 1)),
    created {int} NOT NULL,
    finished {int}
) {table};
CREATE UNIQUE INDEX job_once ON job (kind, key) WHERE finished IS NULL;
CREATE INDEX job_next ON job (state, kind, priority DESC, due, id) WHERE finished IS NULL;
CREATE INDEX job_leases ON job (leased_until) WHERE leased_until IS NOT NULL;
CREATE INDEX job_finished ON job (state, finished) WHERE finished IS NOT NULL;
CREATE INDEX job_by_kind ON job (kind, id);
CREATE INDEX job_by_key ON job (kind, key, id);
