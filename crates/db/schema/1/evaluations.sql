-- Package sets: channels, what each evaluation says, and the newest of each channel attribute by attribute.
-- The large tables refer to others by number without a foreign key for each: `fsck` checks them, and a mass rebuild
-- need not look up a hundred thousand rows four times.

CREATE TABLE channel (
    id {id},
    name {text} NOT NULL UNIQUE,
    -- The order in which channels are shown; also the bit in masks of channels.
    position {int} NOT NULL UNIQUE,
    followed {int} NOT NULL CHECK (followed IN (0, 1)),
    -- Where its package sets come from.
    source {text},
    -- Its newest evaluation.
    head {int},
    -- How the last look for a newer one went: when, what went wrong, what the server said of what it sent.
    polled_at {int},
    trouble {text},
    etag {text},
    last_modified {text}
) {table};

CREATE TABLE evaluation (
    id {id},
    channel {int} NOT NULL REFERENCES channel (id),
    revision {text} NOT NULL,
    evaluated_at {int} NOT NULL,
    ingested_at {int} NOT NULL,
    -- What `delta` leads back to; nothing for the first of a channel.
    parent {int} REFERENCES evaluation (id),
    packages {int} NOT NULL,
    failed {int} NOT NULL,
    added {int} NOT NULL,
    removed {int} NOT NULL,
    changed {int} NOT NULL,
    rebuilt {int} NOT NULL,
    delta {bytes},
    -- Which attributes failed and why, packed; of the newest of a channel only.
    failures {bytes},
    UNIQUE (channel, revision)
) {table};
CREATE INDEX evaluation_by_time ON evaluation (channel, evaluated_at, id);
CREATE INDEX evaluation_by_parent ON evaluation (parent);

-- An identity. From `open` on: computed from findings and heads, so that a list needs no other table.
CREATE TABLE package (
    id {id},
    key {text} NOT NULL UNIQUE,
    name {text} NOT NULL,
    language {text},
    attributes {int} NOT NULL DEFAULT 0,
    open {int} NOT NULL DEFAULT 0,
    exploited {int} NOT NULL DEFAULT 0,
    worst {int} NOT NULL DEFAULT 0,
    rank {int} NOT NULL DEFAULT 0,
    update_to {text},
    dependents {int} NOT NULL DEFAULT 0
) {table};
CREATE INDEX package_by_rank ON package (rank DESC, id);
CREATE INDEX package_by_name ON package (lower(name), id);
CREATE INDEX package_by_key ON package (lower(key), id);

CREATE TABLE attribute (
    id {id},
    path {text} NOT NULL UNIQUE,
    package {int} NOT NULL REFERENCES package (id)
) {table};
CREATE INDEX attribute_by_package ON attribute (package, id);
CREATE INDEX attribute_by_path ON attribute (lower(path), id);

-- What an evaluation says of an attribute, version and store paths apart; shared by all that say the same.
CREATE TABLE fact (
    id {id},
    digest {bytes} NOT NULL UNIQUE,
    body {bytes} NOT NULL
) {table};

CREATE TABLE head (
    channel {int} NOT NULL,
    attribute {int} NOT NULL,
    package {int} NOT NULL,
    name {text} NOT NULL,
    version {text} NOT NULL,
    fact {int} NOT NULL,
    -- The store paths of the derivation and of the outputs, packed: mostly their 20 bytes of hash.
    drv {bytes},
    outputs {bytes},
    -- The evaluation since which it has this version; also the key of its row in `version`.
    since {int} NOT NULL,
    PRIMARY KEY (channel, attribute)
) {rowless};
CREATE INDEX head_by_package ON head (package, channel);
CREATE INDEX head_by_fact ON head (fact);

-- Which version an attribute had from one evaluation to another.
CREATE TABLE version (
    channel {int} NOT NULL,
    attribute {int} NOT NULL,
    package {int} NOT NULL,
    version {text} NOT NULL,
    first {int} NOT NULL,
    -- The last evaluation with it; nothing if it is in the head.
    last {int},
    PRIMARY KEY (channel, attribute, first)
) {rowless};
CREATE INDEX version_by_package ON version (package, channel);

CREATE TABLE maintainer (
    id {id},
    name {text} NOT NULL,
    kind {int} NOT NULL,
    github {text},
    github_id {int}
) {table};
-- A team may be called as a person is.
CREATE UNIQUE INDEX maintainer_by_name ON maintainer (lower(name), kind);
CREATE INDEX maintainer_by_github ON maintainer (github_id) WHERE github_id IS NOT NULL;

CREATE TABLE maintains (
    maintainer {int} NOT NULL,
    package {int} NOT NULL,
    PRIMARY KEY (maintainer, package)
) {rowless};
CREATE INDEX maintains_by_package ON maintains (package, maintainer);
