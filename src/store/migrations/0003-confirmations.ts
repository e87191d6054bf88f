/**
 * Changes of policies that wait for their confirmation. Times are milliseconds since the epoch; `previous` is the earlier row of the
 * policy as a JSON object.
 */
export const confirmations = `
  CREATE TABLE confirmations (
    id TEXT PRIMARY KEY,
    policy TEXT NOT NULL,
    previous TEXT,
    actor TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    reverts_at INTEGER NOT NULL,
    reverted_at INTEGER
  ) STRICT, WITHOUT ROWID;
`;
