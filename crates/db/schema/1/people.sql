-- Who uses the tracker, and what was done with accounts.

CREATE TABLE account (
    id {id},
    name {text} NOT NULL,
    display {text},
    role {int} NOT NULL,
    github_id {int} UNIQUE,
    -- As whom the account acts on packages.
    maintainer {int} REFERENCES maintainer (id),
    created {int} NOT NULL,
    seen {int},
    disabled {int}
) {table};
CREATE UNIQUE INDEX account_by_name ON account (lower(name));
CREATE INDEX account_by_maintainer ON account (maintainer) WHERE maintainer IS NOT NULL;

-- Only digests of secrets are stored.
CREATE TABLE session (
    hash {bytes} PRIMARY KEY,
    account {int} NOT NULL REFERENCES account (id),
    created {int} NOT NULL,
    seen {int} NOT NULL,
    expires {int} NOT NULL,
    agent {text}
) {rowless};
CREATE INDEX session_by_account ON session (account, created);
CREATE INDEX session_by_expiry ON session (expires);

CREATE TABLE token (
    id {id},
    account {int} NOT NULL REFERENCES account (id),
    name {text} NOT NULL,
    hash {bytes} NOT NULL UNIQUE,
    scopes {int} NOT NULL,
    created {int} NOT NULL,
    used {int},
    expires {int},
    revoked {int}
) {table};
CREATE INDEX token_by_account ON token (account, id);

CREATE TABLE audit (
    id {id},
    at {int} NOT NULL,
    account {int},
    kind {int} NOT NULL,
    subject {text},
    detail {text},
    address {text}
) {table};
CREATE INDEX audit_by_time ON audit (at, id);
CREATE INDEX audit_by_account ON audit (account, id);
