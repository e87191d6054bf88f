import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import {
  type AuditEntry,
  type AuditFilter,
  type AuditNote,
  type AuditPage,
  auditActions,
  auditOutcomes,
} from "../domain/audit.ts";
import { choiceOf, integerOf, jsonObjectOrNullOf, type Row, textOrNullOf } from "./row.ts";
import type { Transactional } from "./transactional.ts";

/** How many entries are kept. */
export interface AuditLimits {
  /** All of them. */
  readonly entries: number;
  /** Refusals among them: so many at most can push changes out. */
  readonly refusals: number;
}

export const auditLimits: AuditLimits = { entries: 100_000, refusals: 10_000 };

/** The audit in the database. It can be large, so that of all of it only its size is in memory. */
export interface AuditTrail extends Transactional {
  /** Inside a transaction only. */
  append(note: AuditNote, revisionBefore: number, revisionAfter: number): void;
  /** Removes what is too much, oldest first; before COMMIT. */
  trim(): void;
  /** Newest first. @throws {UnreadableRowError} */
  read(filter: AuditFilter, page: AuditPage): readonly AuditEntry[];
}

interface Size {
  readonly entries: number;
  readonly refusals: number;
}

const columns = [
  ...(["at", "outcome", "action", "actor", "resource", "address", "request_id", "problem", "detail"] as const),
  ...(["revision_before", "revision_after", "content_before", "content_after"] as const),
];

/** How each filter reads in SQL. */
const conditions = {
  actor: "actor = ?",
  action: "action = ?",
  resource: "resource = ?",
  outcome: "outcome = ?",
  since: "at >= ?",
  until: "at < ?",
} as const satisfies Record<keyof AuditFilter, string>;

export function openAuditTrail(database: DatabaseSync, limits: AuditLimits): AuditTrail {
  const insert = database.prepare(`INSERT INTO audit (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})`);
  const removeOldest = database.prepare(
    "DELETE FROM audit WHERE id IN (SELECT id FROM audit ORDER BY id LIMIT ?) RETURNING outcome",
  );
  const removeOldestRefusals = database.prepare(
    "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE outcome = 'refused' ORDER BY id LIMIT ?)",
  );
  let committed = sizeOf(database);
  const open: Size[] = [];
  const current = (): Size => open.at(-1) ?? committed;

  function replace(size: Size): void {
    if (open.length === 0) committed = size;
    else open[open.length - 1] = size;
  }

  function grow(entries: number, refusals: number): void {
    const size = current();
    replace({ entries: size.entries + entries, refusals: size.refusals + refusals });
  }

  return {
    append(note, revisionBefore, revisionAfter) {
      insert.run(
        ...[note.at, note.outcome, note.action, note.actor, note.resource, note.address, note.requestId, note.problem],
        ...[note.detail, revisionBefore, revisionAfter, textOf(note.before), textOf(note.after)],
      );
      grow(1, note.outcome === "refused" ? 1 : 0);
    },
    trim() {
      const refusals = current().refusals - limits.refusals;
      if (refusals > 0) {
        removeOldestRefusals.run(refusals);
        grow(-refusals, -refusals);
      }
      const entries = current().entries - limits.entries;
      if (entries <= 0) return;
      const removed = removeOldest.all(entries);
      grow(-removed.length, -removed.filter(({ outcome }) => outcome === "refused").length);
    },
    read(filter, { before, limit }) {
      const wheres: string[] = before === undefined ? [] : ["id < ?"];
      const values: SQLInputValue[] = before === undefined ? [] : [before];
      for (const [name, condition] of Object.entries(conditions)) {
        const value = filter[name as keyof AuditFilter];
        if (value === undefined) continue;
        wheres.push(condition);
        values.push(value);
      }
      const where = wheres.length === 0 ? "" : `WHERE ${wheres.join(" AND ")}`;
      const rows = database.prepare(`SELECT * FROM audit ${where} ORDER BY id DESC LIMIT ?`).all(...values, limit);
      return rows.map(entryOf);
    },
    begin() {
      open.push(current());
    },
    keep() {
      const size = current();
      open.pop();
      replace(size);
    },
    drop() {
      open.pop();
    },
  };
}

function sizeOf(database: DatabaseSync): Size {
  const count = (where: string): number => {
    const row = database.prepare(`SELECT count(*) AS entries FROM audit ${where}`).get();
    return row === undefined ? 0 : integerOf(row, "entries");
  };
  return { entries: count(""), refusals: count("WHERE outcome = 'refused'") };
}

function textOf(content: AuditNote["before"]): string | null {
  return content && JSON.stringify(content);
}

function entryOf(row: Row): AuditEntry {
  return {
    id: integerOf(row, "id"),
    at: integerOf(row, "at"),
    actor: textOrNullOf(row, "actor"),
    address: textOrNullOf(row, "address"),
    requestId: textOrNullOf(row, "request_id"),
    action: choiceOf(row, "action", auditActions),
    resource: textOrNullOf(row, "resource"),
    outcome: choiceOf(row, "outcome", auditOutcomes),
    problem: textOrNullOf(row, "problem"),
    detail: textOrNullOf(row, "detail"),
    revisionBefore: integerOf(row, "revision_before"),
    revisionAfter: integerOf(row, "revision_after"),
    before: jsonObjectOrNullOf(row, "content_before"),
    after: jsonObjectOrNullOf(row, "content_after"),
  };
}
