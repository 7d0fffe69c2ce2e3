-- Vulnerabilities, the records that sources have on them, and how the records have changed.
-- Days are texts, YYYY-MM-DD.

-- What records come from: a feed, or a file that was imported.
CREATE TABLE record_source (
    id {id},
    name {text} NOT NULL UNIQUE,
    kind {int} NOT NULL,
    records {int} NOT NULL DEFAULT 0,
    -- What could not be read.
    skipped {int} NOT NULL DEFAULT 0,
    -- The newest day in its records, and in those that say which versions are affected.
    newest {text},
    newest_range {text},
    -- When something of it last changed here, and when it was last compared.
    changed_at {int},
    looked_at {int}
) {table};

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
    -- CISA's decision points: the exploitation, and in the higher digits what else is known.
    ssvc {int},
    published {text},
    modified {text},
    withdrawn {int} NOT NULL DEFAULT 0 CHECK (withdrawn IN (0, 1)),
    -- It turned out to be this one: its names lead there, and so do its decisions.
    merged_into {int} REFERENCES advisory (id),
    first_seen {int} NOT NULL,
    -- When anything but the likelihood of exploitation last changed; 0 for what is merged.
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

-- All that one source says under one name.
CREATE TABLE record (
    id {id},
    source {int} NOT NULL REFERENCES record_source (id),
    name {text} NOT NULL,
    digest {bytes} NOT NULL,
    -- When it was last seen to be another.
    seen {int} NOT NULL,
    -- Since when the source has it no more.
    gone {int},
    body {bytes} NOT NULL,
    UNIQUE (source, name)
) {table};

-- Of which vulnerabilities a record speaks: mostly one.
CREATE TABLE speaks (
    advisory {int} NOT NULL REFERENCES advisory (id),
    record {int} NOT NULL REFERENCES record (id),
    PRIMARY KEY (advisory, record)
) {rowless};
CREATE INDEX speaks_by_record ON speaks (record, advisory);

-- What a record said before, where it said something else of what is affected.
CREATE TABLE record_history (
    record {int} NOT NULL REFERENCES record (id),
    until {int} NOT NULL,
    digest {bytes} NOT NULL,
    body {bytes} NOT NULL,
    PRIMARY KEY (record, until)
) {table};
