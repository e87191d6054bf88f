/**
 * Who did what. `at` is in milliseconds since the epoch; `before` and `after` are JSON objects. What is filtered by stands first, so that
 * a look need not read what does not fit on the row's own page.
 */
export const audit = `
  CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    action TEXT NOT NULL,
    actor TEXT,
    resource TEXT,
    address TEXT,
    request_id TEXT,
    problem TEXT,
    detail TEXT,
    revision_before INTEGER NOT NULL,
    revision_after INTEGER NOT NULL,
    content_before TEXT,
    content_after TEXT
  ) STRICT;

  CREATE INDEX audit_refused ON audit (id) WHERE outcome = 'refused';
`;
