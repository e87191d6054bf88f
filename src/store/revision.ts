import type { DatabaseSync } from "node:sqlite";
import { integerOf } from "./row.ts";
import { UnreadableRowError } from "./store-error.ts";
import type { Transactional } from "./transactional.ts";

/** The number that grows with every change, kept in the one row of the table `meta`. */
export interface Revision extends Transactional {
  committed(): number;
  /** With the changes of the transactions that are open. */
  current(): number;
  /** Inside a transaction only. */
  advance(): void;
  /** Writes the current one, if it has moved. */
  save(): void;
}

/** @throws {UnreadableRowError} */
export function openRevision(database: DatabaseSync): Revision {
  const update = database.prepare("UPDATE meta SET revision = ?");
  let committed = readRevision(database);
  const open: number[] = [];
  const current = (): number => open.at(-1) ?? committed;

  function replace(revision: number): void {
    if (open.length === 0) committed = revision;
    else open[open.length - 1] = revision;
  }

  return {
    committed: () => committed,
    current,
    advance: () => replace(current() + 1),
    save() {
      if (current() !== committed) update.run(current());
    },
    begin() {
      open.push(current());
    },
    keep() {
      const revision = current();
      open.pop();
      replace(revision);
    },
    drop() {
      open.pop();
    },
  };
}

function readRevision(database: DatabaseSync): number {
  const row = database.prepare("SELECT revision FROM meta").get();
  if (row === undefined) throw new UnreadableRowError("the table meta has no row");
  return integerOf(row, "revision");
}
