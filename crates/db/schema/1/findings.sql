-- Packages joined with advisories: what was computed of each pair, and what people decided.

CREATE TABLE finding (
    id {id},
    package {int} NOT NULL REFERENCES package (id),
    advisory {int} NOT NULL REFERENCES advisory (id),
    -- Computed: the worst of all channels.
    status {int} NOT NULL,
    confidence {int} NOT NULL,
    -- Decided.
    state {int} NOT NULL,
    state_since {int} NOT NULL,
    justification {int},
    -- The advisory at which is said what there is to say.
    duplicate_of {int} REFERENCES advisory (id),
    assignee {int} REFERENCES account (id),
    basis {bytes} NOT NULL,
    decided_basis {bytes},
    evidence {bytes} NOT NULL,
    fixed_in {text},
    -- In a few words: why, and what speaks against it.
    why {text} NOT NULL DEFAULT '',
    against {text},
    rank {int} NOT NULL,
    -- In which list it stands, by its state and its status.
    bucket {int} NOT NULL DEFAULT 0,
    -- The channels that are affected or in doubt, a bit for each.
    channels {int} NOT NULL DEFAULT 0,
    -- 1: Nixpkgs marks the package because of it; 2: it is of a kernel.
    flags {int} NOT NULL DEFAULT 0,
    first_seen {int} NOT NULL,
    -- Since when it is no longer computed at all.
    gone {int},
    -- Raised by each change: whoever decides names the one that was looked at.
    revision {int} NOT NULL DEFAULT 0,
    UNIQUE (package, advisory)
) {table};
CREATE INDEX finding_by_advisory ON finding (advisory, rank DESC, id);
-- A kernel has thousands: what is open must not be looked for among what is done with (9), nor the other way round.
CREATE INDEX finding_open_of_package ON finding (package, rank DESC, id) WHERE bucket <> 9;
CREATE INDEX finding_done_of_package ON finding (package, rank DESC, id) WHERE bucket = 9;
CREATE INDEX finding_by_bucket ON finding (bucket, status, rank DESC, id);
CREATE INDEX finding_by_assignee ON finding (assignee, state, rank DESC, id) WHERE assignee IS NOT NULL;
CREATE INDEX finding_by_original ON finding (duplicate_of) WHERE duplicate_of IS NOT NULL;

CREATE TABLE finding_channel (
    finding {int} NOT NULL REFERENCES finding (id),
    channel {int} NOT NULL,
    status {int} NOT NULL,
    versions {text} NOT NULL,
    -- Evaluations: with which it became so, and with which it was fixed.
    since {int} NOT NULL,
    fixed_since {int},
    PRIMARY KEY (finding, channel)
) {rowless};
CREATE INDEX finding_channel_by_fix ON finding_channel (channel, fixed_since DESC, finding) WHERE fixed_since IS NOT NULL;

-- How many open findings a package has in a channel; those without any are left out. Computed from findings.
CREATE TABLE package_channel (
    package {int} NOT NULL REFERENCES package (id),
    channel {int} NOT NULL,
    affected {int} NOT NULL,
    -- Of these: known to be exploited.
    exploited {int} NOT NULL,
    review {int} NOT NULL,
    PRIMARY KEY (package, channel)
) {rowless};

-- What one decision settles: by advisory, and by package.
CREATE TABLE suggestion (
    kind {int} NOT NULL,
    subject {int} NOT NULL,
    bucket {int} NOT NULL,
    rank {int} NOT NULL,
    rating {int},
    exploited {int} NOT NULL DEFAULT 0,
    -- A bit for each channel's position.
    channels {int} NOT NULL DEFAULT 0,
    findings {int} NOT NULL,
    assignee {int},
    PRIMARY KEY (kind, subject)
) {rowless};
-- All of the row, so that a narrow list, of which few rows are shown and many passed over, reads the index alone.
CREATE INDEX suggestion_queue ON suggestion
    (bucket, kind, rank DESC, subject, rating, exploited, channels, findings, assignee);
CREATE INDEX suggestion_by_assignee ON suggestion (assignee, bucket, kind, rank DESC, subject) WHERE assignee IS NOT NULL;

-- All that people and the worker did; rows are only added.
CREATE TABLE event (
    id {id},
    at {int} NOT NULL,
    -- Nothing for the worker.
    actor {int} REFERENCES account (id),
    kind {int} NOT NULL,
    -- The same number for all of one bulk action.
    batch {int},
    finding {int},
    advisory {int},
    package {int},
    issue {int},
    before {bytes},
    after {bytes},
    reason {text},
    undoes {int} REFERENCES event (id)
) {table};
CREATE INDEX event_by_finding ON event (finding, id) WHERE finding IS NOT NULL;
CREATE INDEX event_by_advisory ON event (advisory, id) WHERE advisory IS NOT NULL;
CREATE INDEX event_by_package ON event (package, id) WHERE package IS NOT NULL;
CREATE INDEX event_by_issue ON event (issue, id) WHERE issue IS NOT NULL;
CREATE INDEX event_by_actor ON event (actor, id) WHERE actor IS NOT NULL;
CREATE INDEX event_by_people ON event (id) WHERE actor IS NOT NULL;
CREATE INDEX event_by_batch ON event (batch, id) WHERE batch IS NOT NULL;
-- What was undone is not undone again.
CREATE UNIQUE INDEX event_undone ON event (undoes) WHERE undoes IS NOT NULL;

-- By which identities packages were matched last, packed.
CREATE TABLE identity (
    package {int} PRIMARY KEY REFERENCES package (id),
    identities {bytes} NOT NULL
) {table};

-- Packages that are to be matched anew, since something that counts there changed.
CREATE TABLE stale (
    package {int} PRIMARY KEY REFERENCES package (id),
    -- When that was; raised if it changes once more, so that whoever matched it before does not take it away.
    at {int} NOT NULL
) {table};

CREATE TABLE memory (
    id {id},
    package_key {text} NOT NULL,
    product {text} NOT NULL,
    verdict {int} NOT NULL,
    channel {int} REFERENCES channel (id),
    -- The last day on which it holds.
    expires {text},
    reason {text} NOT NULL,
    actor {int} REFERENCES account (id),
    created {int} NOT NULL,
    revoked {int}
) {table};
CREATE INDEX memory_by_package ON memory (package_key, product);
CREATE INDEX memory_by_product ON memory (product);
CREATE INDEX memory_by_expiry ON memory (expires) WHERE revoked IS NULL AND expires IS NOT NULL;
