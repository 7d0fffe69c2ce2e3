-- What was published, and how it stands in a forge.

-- The last number that was given out, so that none is given twice and none is left out.
CREATE TABLE issue_number (
    prefix {text} NOT NULL,
    year {int} NOT NULL,
    last {int} NOT NULL,
    PRIMARY KEY (prefix, year)
) {rowless};

CREATE TABLE issue (
    id {id},
    public {text} NOT NULL UNIQUE,
    advisory {int} NOT NULL REFERENCES advisory (id),
    title {text} NOT NULL,
    text {text},
    published {int} NOT NULL,
    -- When anything that is published of it last changed.
    modified {int} NOT NULL,
    withdrawn {int},
    withdrawn_reason {text},
    -- Of all that is published of it, the times apart; nothing before it was first looked at.
    digest {bytes},
    -- Raised by each edit: whoever edits names the one that was looked at.
    revision {int} NOT NULL DEFAULT 0
) {table};
CREATE UNIQUE INDEX issue_of_advisory ON issue (advisory) WHERE withdrawn IS NULL;
CREATE INDEX issue_by_change ON issue (modified DESC, id DESC);

CREATE TABLE forge_issue (
    issue {int} PRIMARY KEY REFERENCES issue (id),
    -- Where it was opened.
    number {int},
    url {text},
    -- The digest of what it says there.
    digest {bytes},
    synced {int},
    error {text}
) {rowless};
