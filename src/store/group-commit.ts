import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { Transactional } from "./transactional.ts";

/** What is committed, on the side of memory: a transaction for the commit, in it one for each work. */
export interface CommitState<Change> extends Transactional {
  /** A view for one work. Once that is over, kept or not, `end` is called: a `change` that leaked out of it must write no more. */
  open(): { readonly change: Change; end(): void };
  /** The last writes before COMMIT. */
  seal(): void;
}

export interface GroupCommit<Change> {
  /** Queues `work`; resolves with its result once the commit that it shares is fsynced. */
  transact<T>(work: (change: Change) => T): Promise<T>;
  /** Commits at once what still waits. */
  flush(): void;
}

interface Job<Change> {
  /** Runs the work and returns what tells its caller that it is durable. */
  run(change: Change): () => void;
  /** Only the first call counts. */
  reject(error: unknown): void;
}

/** Lets the works that wait at the same time share one transaction, hence one fsync; each has its own savepoint. */
export function createGroupCommit<Change>(database: DatabaseSync, state: CommitState<Change>): GroupCommit<Change> {
  const [savepoint, release] = ["SAVEPOINT work", "RELEASE work"].map((sql) => database.prepare(sql)) as [
    StatementSync,
    StatementSync,
  ];
  let waiting: Job<Change>[] = [];

  function flush(): void {
    const jobs = waiting;
    waiting = [];
    if (jobs.length === 0) return;
    let acknowledgements: readonly (() => void)[];
    try {
      acknowledgements = commit(jobs);
    } catch (error) {
      if (database.isTransaction) database.exec("ROLLBACK");
      for (const job of jobs) job.reject(error);
      return;
    }
    for (const acknowledge of acknowledgements) acknowledge();
  }

  function commit(jobs: readonly Job<Change>[]): readonly (() => void)[] {
    database.exec("BEGIN IMMEDIATE");
    state.begin();
    try {
      const acknowledgements = jobs.map(runInSavepoint).filter((acknowledge) => acknowledge !== undefined);
      state.seal();
      database.exec("COMMIT");
      state.keep();
      return acknowledgements;
    } catch (error) {
      state.drop();
      throw error;
    }
  }

  function runInSavepoint(job: Job<Change>): (() => void) | undefined {
    savepoint.run();
    state.begin();
    const { change, end } = state.open();
    try {
      const acknowledge = job.run(change);
      release.run();
      state.keep();
      return acknowledge;
    } catch (error) {
      state.drop();
      // A full disk or an I/O error makes SQLite roll the whole transaction back: https://www.sqlite.org/lang_transaction.html
      if (!database.isTransaction) throw error;
      database.exec("ROLLBACK TO work; RELEASE work");
      job.reject(error);
      return undefined;
    } finally {
      end();
    }
  }

  return {
    transact: <T>(work: (change: Change) => T) =>
      new Promise<T>((resolve, reject) => {
        waiting.push({
          run(change) {
            const result = work(change);
            return () => resolve(result);
          },
          reject,
        });
        if (waiting.length === 1) setImmediate(flush);
      }),
    flush,
  };
}
