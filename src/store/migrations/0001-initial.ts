/** Policies, operator bans and the revision. Times are milliseconds since the epoch; `ports` and `exempt` are JSON arrays. */
export const initial = `
  CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    revision INTEGER NOT NULL
  ) STRICT;
  INSERT INTO meta (id, revision) VALUES (1, 0);

  CREATE TABLE policies (
    name TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    protocol TEXT NOT NULL,
    ports TEXT NOT NULL,
    max_connections INTEGER NOT NULL,
    count_ipv4_prefix INTEGER NOT NULL,
    count_ipv6_prefix INTEGER NOT NULL,
    ban_seconds INTEGER,
    ban_scope TEXT,
    ban_renew_on_attempt INTEGER,
    reject_with TEXT NOT NULL,
    exempt TEXT NOT NULL,
    mode TEXT NOT NULL,
    revision INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE operator_bans (
    address TEXT PRIMARY KEY,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL,
    since INTEGER NOT NULL,
    expires_at INTEGER
  ) STRICT, WITHOUT ROWID;
`;
