-- Who wants to be told what, and what they were told.

CREATE TABLE subscription (
    id {id},
    account {int} NOT NULL REFERENCES account (id),
    -- 1 mail, 2 webhook
    way {int} NOT NULL,
    target {text} NOT NULL,
    -- 1 everything, 2 a package, 3 a maintainer's packages, 4 an advisory, 5 a channel, 6 what a search finds
    topic {int} NOT NULL,
    -- The number of what it is about, but for searches.
    subject {int},
    search {text},
    -- 1 at once, 2 once a day
    pace {int} NOT NULL,
    -- Signs what is sent, and proves that a link was sent to them.
    secret {bytes} NOT NULL,
    created {int} NOT NULL,
    -- Since when it is known that the target is theirs.
    confirmed {int},
    ended {int},
    -- The last event and the last finding that were looked at.
    event {int} NOT NULL,
    finding {int} NOT NULL,
    -- When something was last made for them.
    told {int}
) {table};
CREATE INDEX subscription_by_account ON subscription (account, id);
CREATE INDEX subscription_in_force ON subscription (pace, told, id) WHERE confirmed IS NOT NULL AND ended IS NULL;

-- Those who are still to be asked whether they want it.
CREATE INDEX subscription_to_ask ON subscription (id) WHERE confirmed IS NULL AND ended IS NULL AND told IS NULL;

CREATE TABLE delivery (
    id {id},
    subscription {int} NOT NULL REFERENCES subscription (id),
    -- Which events and findings: those after the first, up to the last.
    event_after {int} NOT NULL,
    event_to {int} NOT NULL,
    finding_after {int} NOT NULL,
    finding_to {int} NOT NULL,
    created {int} NOT NULL,
    due {int} NOT NULL,
    attempts {int} NOT NULL DEFAULT 0,
    done {int},
    error {text}
) {table};
CREATE UNIQUE INDEX delivery_open ON delivery (subscription) WHERE done IS NULL;
CREATE INDEX delivery_due ON delivery (due, id) WHERE done IS NULL;
CREATE INDEX delivery_by_subscription ON delivery (subscription, id);
