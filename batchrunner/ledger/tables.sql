-- The ledger, version 7; `changes.py` adds the log of changes, `spending.py` the sums for the budget. Times are Unix seconds (UTC).
-- Media are stored as path and hash, never as bytes.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- The run directory's own random ID: the seeds of its attempts are derived from it.
INSERT INTO meta VALUES ('run_id', lower(hex(randomblob(16))));

CREATE TABLE tasks (
    key           TEXT PRIMARY KEY,          -- the fingerprint
    first         TEXT,                      -- the key of the first task with the same request; NULL: this one
    position      INTEGER,                   -- place in the plan; NULL: no longer in the manifest
    id            TEXT NOT NULL,
    file_name     TEXT NOT NULL UNIQUE,      -- relative to the run directory; fixed when the task is added
    source        TEXT NOT NULL,             -- its place in the manifest
    request       TEXT NOT NULL,             -- normalised request as JSON, local files as hashes
    inputs        TEXT NOT NULL,             -- JSON list of its input files and URLs
    labels        TEXT NOT NULL,             -- JSON object
    state         TEXT NOT NULL CHECK (  -- with IN, each statement would build a table of these
                      state = 'pending' OR state = 'submitting' OR state = 'in_doubt' OR state = 'generating' OR
                      state = 'collecting' OR state = 'done' OR state = 'uncollected' OR state = 'failed'),
    attempt       INTEGER REFERENCES attempts (id),  -- the newest
    attempts      INTEGER NOT NULL DEFAULT 0,
    refused       INTEGER NOT NULL DEFAULT 0,        -- consecutive refusals of this task alone
    version       INTEGER NOT NULL DEFAULT 1,        -- raised when the user requests another version
    not_before    REAL,                              -- a pending task may not be claimed earlier
    error_code    TEXT NOT NULL DEFAULT '',
    error_message TEXT NOT NULL DEFAULT '',
    warnings      TEXT NOT NULL DEFAULT '[]',        -- JSON list
    CHECK (state IN ('pending', 'failed') OR attempt IS NOT NULL)
) STRICT;

CREATE INDEX tasks_by_state ON tasks (state);
CREATE INDEX tasks_by_position ON tasks (position);

CREATE TABLE attempts (
    id                 INTEGER PRIMARY KEY,
    task               TEXT NOT NULL REFERENCES tasks (key),
    number             INTEGER NOT NULL CHECK (number > 0),
    seed               INTEGER,
    file_name          TEXT NOT NULL,        -- where its video goes
    submitted_at       REAL NOT NULL,        -- the intent; the POST is sent after it, if at all
    outcome            TEXT,                 -- of the POST; NULL: not known (yet)
    http_status        INTEGER,
    request_id         TEXT,                 -- the gateway's own ID of the exchange
    remote_id          TEXT UNIQUE,
    accepted_at        REAL,
    finished_at        REAL,
    generation_seconds REAL,
    tokens             INTEGER,
    cost               REAL,
    currency           TEXT,
    hold               INTEGER,              -- quota units that the gateway showed while it was generating
    quota              INTEGER,              -- the same at its end; if unchanged, maybe still the hold
    charged_usd        REAL,                 -- what the gateway charged by that, where it surely is no hold
    result_url         TEXT,
    last_frame_url     TEXT,
    last_answer        TEXT,                 -- the gateway's newest answer, raw, 64 KB at most
    collected_at       REAL,
    size               INTEGER,
    sha256             TEXT,
    duration           REAL,
    width              INTEGER,
    height             INTEGER,
    fps                REAL,
    last_frame_file    TEXT,
    looked_up          TEXT,                 -- what the usage log showed about it while in doubt
    content_dead_at    REAL,                 -- when the gateway was found to no longer have the video
    link_dead_at       REAL,                 -- the same for the model's own link
    file_state         TEXT,                 -- of a finished video: '' or NULL in place, missing, dangling, changed
    file_seen          TEXT,                 -- size and mtime (ns) at the last check
    candidates         TEXT,                 -- JSON list of the gateway's tasks that may be it
    process            TEXT,                 -- random ID of the process that submitted it
    account            TEXT NOT NULL DEFAULT '',  -- name of the account that it was submitted with; '': the only one
    worst_tokens       INTEGER,              -- the most that it can be charged, estimated at the claim
    worst_cost         REAL,
    worst_currency     TEXT,                 -- of the prices, even where the model has none
    least_tokens       INTEGER,              -- a charge of fewer is implausible
    UNIQUE (task, number)
) STRICT;

CREATE INDEX attempts_by_seed ON attempts (seed);

CREATE TABLE events (
    id         INTEGER PRIMARY KEY,
    at         REAL NOT NULL,
    task       TEXT NOT NULL REFERENCES tasks (key),
    attempt    INTEGER REFERENCES attempts (id),
    event      TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state   TEXT NOT NULL,
    code       TEXT NOT NULL,
    message    TEXT NOT NULL
) STRICT;

-- By attempt, whose numbers grow: an index by key would be written to all over the place.
CREATE INDEX events_by_attempt ON events (attempt);
