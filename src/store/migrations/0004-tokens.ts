/**
 * Named tokens; `digest` is the SHA-256 of the secret in hexadecimal, `scopes` a JSON array. Times are milliseconds since the epoch.
 */
export const tokens = `
  CREATE TABLE tokens (
    name TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
  ) STRICT, WITHOUT ROWID;
`;
