/** What takes part in transactions, which may stand in one another. All of one transaction happens in one turn of the event loop. */
export interface Transactional {
  begin(): void;
  /** The innermost transaction becomes part of the one around it, or is committed. */
  keep(): void;
  /** The innermost transaction is forgotten, in memory; undoing it in the database is up to the caller. */
  drop(): void;
}

/** Several as one. */
export function together(parts: readonly Transactional[]): Transactional {
  return {
    begin() {
      for (const part of parts) part.begin();
    },
    keep() {
      for (const part of parts) part.keep();
    },
    drop() {
      for (const part of parts) part.drop();
    },
  };
}
