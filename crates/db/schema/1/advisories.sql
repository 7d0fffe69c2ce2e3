-- Vulnerabilities, the records that sources have on them, and how the records have changed.

CREATE TABLE advisory (
    id {id},
    name {text} NOT NULL UNIQUE,
    title {text},
    description {text},
    -- Ten times the CVSS base score.
    score {int},
    rating {int},
    vector {text},
    -- The day since which it is known to be exploited, and whether by ransomware.
    exploited {text},
    ransomware {int} NOT NULL DEFAULT 0,
    epss {real},
    percentile {real},
    ssvc {int},
    published {int},
    modified {int},
    withdrawn {int},
    first_seen {int} NOT NULL,
    changed_at {int} NOT NULL,
    -- Computed from findings.
    candidates {int} NOT NULL DEFAULT 0,
    open {int} NOT NULL DEFAULT 0,
    rank {int} NOT NULL DEFAULT 0
) {table};
CREATE INDEX advisory_by_change ON advisory (changed_at DESC, id);
CREATE INDEX advisory_by_rank ON advisory (rank DESC, id);
CREATE INDEX advisory_by_publication ON advisory (published DESC, id);
CREATE INDEX advisory_by_exploitation ON advisory (exploited DESC, id) WHERE exploited IS NOT NULL;

-- All names of an advisory, its own too.
CREATE TABLE alias (
    name {text} PRIMARY KEY,
    advisory {int} NOT NULL REFERENCES advisory (id)
) {rowless};
CREATE INDEX alias_by_advisory ON alias (advisory, name);
CREATE INDEX alias_by_folded_name ON alias (lower(name));

CREATE TABLE record (
    id {id},
    source {int} NOT NULL,
    name {text} NOT NULL,
    advisory {int} NOT NULL REFERENCES advisory (id),
    digest {bytes} NOT NULL,
    seen {int} NOT NULL,
    body {bytes} NOT NULL,
    UNIQUE (source, name)
) {table};
CREATE INDEX record_by_advisory ON record (advisory, source, name);

-- What a record said before.
CREATE TABLE record_history (
    record {int} NOT NULL REFERENCES record (id),
    until {int} NOT NULL,
    digest {bytes} NOT NULL,
    body {bytes} NOT NULL,
    PRIMARY KEY (record, until)
) {table};
