-- The history of scans. One process writes; others read copies.
CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;

CREATE TABLE target (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE
) STRICT;

-- Times are seconds since 1970 in UTC.
CREATE TABLE scan (
  id INTEGER PRIMARY KEY,
  target INTEGER NOT NULL REFERENCES target,
  started INTEGER NOT NULL,
  finished INTEGER NOT NULL,
  reason TEXT NOT NULL,
  -- ok, blind (the advisories were fewer or older than before, or more of the system could not be
  -- looked into) or failed
  outcome TEXT NOT NULL,
  root TEXT NOT NULL,
  -- of the files of the index
  fingerprint TEXT NOT NULL,
  title TEXT NOT NULL,
  components INTEGER NOT NULL,
  -- JSON; empty where it failed
  knowledge TEXT NOT NULL,
  counts TEXT NOT NULL,
  gaps TEXT NOT NULL,
  -- empty where it did not fail
  error TEXT NOT NULL,
  log TEXT NOT NULL
) STRICT;
CREATE INDEX scan_by_time ON scan (target, finished);

CREATE TABLE finding (
  id INTEGER PRIMARY KEY,
  target INTEGER NOT NULL REFERENCES target,
  advisory TEXT NOT NULL,
  package TEXT NOT NULL,
  language TEXT NOT NULL,
  state TEXT NOT NULL,
  severity TEXT NOT NULL,
  score REAL,
  exploited INTEGER NOT NULL,
  -- JSON: a list of texts
  versions TEXT NOT NULL,
  fixed_in TEXT,
  update_to TEXT,
  first_seen INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  -- when it was first open; null where it never was
  opened INTEGER,
  -- when it stopped to be open; null where it is
  closed INTEGER,
  reopened INTEGER NOT NULL DEFAULT 0,
  -- when it was first affected; null where it never was
  affected INTEGER,
  -- whether it was affected since it was last closed; what was only to review was not
  affected_since_closed INTEGER NOT NULL DEFAULT 0,
  UNIQUE (target, advisory, package, language)
) STRICT;

-- Never changed and never deleted: whoever reads them remembers the last number.
CREATE TABLE event (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  target INTEGER NOT NULL REFERENCES target,
  finding INTEGER REFERENCES finding,
  kind TEXT NOT NULL,
  at INTEGER NOT NULL,
  -- JSON: what is told
  data TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_finding ON event (target, finding, kind);
