import type { DatabaseSync } from "node:sqlite";
import type { DesiredState, StateChange, Store } from "../domain/ports.ts";
import { type AuditLimits, auditLimits, openAuditTrail } from "./audit-trail.ts";
import { databaseFile, openDatabase } from "./database.ts";
import { createDiskHealth } from "./disk-health.ts";
import { createGroupCommit } from "./group-commit.ts";
import { type OpenTable, openTable, type Reads } from "./open-table.ts";
import { openRevision } from "./revision.ts";
import { toStoreOpenError } from "./store-error.ts";
import { confirmationsTable } from "./tables/confirmations-table.ts";
import { gracesTable } from "./tables/graces-table.ts";
import { kernelBansTable } from "./tables/kernel-bans-table.ts";
import { liftsTable } from "./tables/lifts-table.ts";
import { operatorBansTable } from "./tables/operator-bans-table.ts";
import { policiesTable } from "./tables/policies-table.ts";
import { tokensTable } from "./tables/tokens-table.ts";
import { together } from "./transactional.ts";

export interface StoreOptions {
  readonly stateDirectory: string;
  /** How much of the audit is kept. */
  readonly audit?: AuditLimits;
}

/**
 * Opens the store in `stateDirectory`, which is made (0700) where it is missing. All reads but those of the
 * audit come from memory: the database is this process's alone, so the rows read at the start and the changes committed since are what it holds.
 * @throws {StoreOpenError}
 */
export function openStore({ stateDirectory, audit = auditLimits }: StoreOptions): Store {
  const database = openDatabase(stateDirectory);
  try {
    return createStore(database, databaseFile(stateDirectory), audit);
  } catch (error) {
    database.close();
    throw toStoreOpenError(error, databaseFile(stateDirectory));
  }
}

function createStore(database: DatabaseSync, file: string, limits: AuditLimits): Store {
  const tables = {
    policies: openTable(database, policiesTable),
    operatorBans: openTable(database, operatorBansTable),
    kernelBans: openTable(database, kernelBansTable),
    lifts: openTable(database, liftsTable),
    graces: openTable(database, gracesTable),
    confirmations: openTable(database, confirmationsTable),
    tokens: openTable(database, tokensTable),
  };
  const revision = openRevision(database);
  const trail = openAuditTrail(database, limits);

  function readsOf(look: Look, revisionNow: () => number): DesiredState {
    const [policies, operatorBans] = [look(tables.policies), look(tables.operatorBans)];
    const [graces, confirmations, tokens] = [look(tables.graces), look(tables.confirmations), look(tables.tokens)];
    return {
      revision: revisionNow,
      policy: policies.get,
      policies: policies.values,
      operatorBan: operatorBans.get,
      operatorBans: operatorBans.values,
      operatorBanCount: operatorBans.size,
      kernelBans: look(tables.kernelBans).values,
      lifts: look(tables.lifts).values,
      grace: graces.get,
      graces: graces.values,
      confirmation: confirmations.get,
      confirmations: confirmations.values,
      token: tokens.get,
      tokens: tokens.values,
    };
  }

  /** @param mayChange throws where it is too late for a change */
  function changeOf(mayChange: () => void): StateChange {
    const before = revision.current();
    const { policies, operatorBans, kernelBans, lifts, graces, confirmations, tokens } = tables;

    function put<Entry>(table: OpenTable<Entry>): (entry: Entry) => void {
      return (entry) => {
        mayChange();
        table.put(entry);
        revision.advance();
      };
    }

    function remove<Entry, Key extends readonly string[]>(table: OpenTable<Entry>): (...key: Key) => boolean {
      return (...key) => {
        mayChange();
        const removed = table.delete(...key);
        if (removed) revision.advance();
        return removed;
      };
    }

    return {
      ...readsOf((table) => table.current, revision.current),
      putPolicy: put(policies),
      deletePolicy: remove(policies),
      putOperatorBan: put(operatorBans),
      deleteOperatorBan: remove(operatorBans),
      putKernelBan: put(kernelBans),
      deleteKernelBan: remove(kernelBans),
      putLift: put(lifts),
      deleteLift: remove(lifts),
      putGrace: put(graces),
      deleteGrace: remove(graces),
      putConfirmation: put(confirmations),
      deleteConfirmation: remove(confirmations),
      putToken: put(tokens),
      deleteToken: remove(tokens),
      audit(note) {
        mayChange();
        trail.append(note, before, revision.current());
      },
    };
  }

  const groupCommit = createGroupCommit<StateChange>(database, {
    ...together([revision, trail, ...Object.values(tables)]),
    open() {
      let ended = false;
      const change = changeOf(() => {
        if (ended) throw new Error("a change was made after the end of its transaction");
      });
      return {
        change,
        end() {
          ended = true;
        },
      };
    },
    seal() {
      trail.trim();
      revision.save();
    },
  });
  const health = createDiskHealth(file);
  let closed = false;
  return {
    ...readsOf((table) => table.committed, revision.committed),
    auditEntries: trail.read,
    async transact(work) {
      if (closed) throw new Error("the store is closed");
      return health.watch(() => groupCommit.transact(work));
    },
    failure: health.failure,
    async probe() {
      if (!(await health.isInDoubt()) || closed) return;
      // SQLite does not write what stays the same.
      await health.watch(() => groupCommit.transact(revision.advance));
    },
    close() {
      if (closed) return;
      closed = true;
      groupCommit.flush();
      database.close();
    },
  };
}

/** Which state of a table is read. */
type Look = <Entry>(table: OpenTable<Entry>) => Reads<Entry>;
