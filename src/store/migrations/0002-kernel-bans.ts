/** Bans that the kernel made, lifts that wait for a pass, and graces. Times are milliseconds since the epoch; `policies` is a JSON array. */
export const kernelBans = `
  CREATE TABLE kernel_bans (
    home TEXT NOT NULL,
    address TEXT NOT NULL,
    policies TEXT NOT NULL,
    since INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (home, address)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE lifts (
    address TEXT PRIMARY KEY
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE graces (
    address TEXT PRIMARY KEY,
    ends_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`;
