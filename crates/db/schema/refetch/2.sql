-- What each worker is for, and how often a task was lost with the worker that had it.

ALTER TABLE refetch ADD COLUMN lost {int} NOT NULL DEFAULT 0;

-- A worker takes what it asked for, and nothing that others put there.
CREATE TABLE wanted (
    worker {text} NOT NULL,
    task {int} NOT NULL,
    -- What died leaves its rows behind.
    since {int} NOT NULL,
    PRIMARY KEY (worker, task)
) {rowless};
