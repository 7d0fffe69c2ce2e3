-- What is to be fetched again and compared: a queue of its own, in a database of its own.

CREATE TABLE meta (
    name {text} PRIMARY KEY,
    value {text} NOT NULL
) {rowless};

CREATE TABLE refetch (
    id {id},
    -- The same thing from the same place is one task.
    key {text} NOT NULL UNIQUE,
    -- Who is asked first, so that no host is asked by too many at once.
    host {text} NOT NULL,
    payload {bytes} NOT NULL,
    -- 0 waits, 1 is being done, 2 is done.
    state {int} NOT NULL,
    -- Not before this time.
    due {int} NOT NULL,
    attempts {int} NOT NULL DEFAULT 0,
    worker {text},
    leased_until {int},
    verdict {text},
    result {bytes},
    finished {int}
) {table};
CREATE INDEX refetch_next ON refetch (due, id) WHERE state = 0;
CREATE INDEX refetch_leases ON refetch (leased_until) WHERE state = 1;
CREATE INDEX refetch_verdicts ON refetch (verdict) WHERE state = 2;
