import { chmodSync, closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { migrate } from "./migrate.ts";
import { toStoreOpenError, UnreadableRowError } from "./store-error.ts";

/** The database's path in a state directory. */
export function databaseFile(stateDirectory: string): string {
  return join(resolve(stateDirectory), "state.db");
}

/**
 * Opens the database, made on first use, checked, and at the newest schema. It is this process's alone until it is closed: the
 * lock is the kernel's, so it ends with the process, however that dies.
 * @throws {StoreOpenError}
 */
export function openDatabase(stateDirectory: string): DatabaseSync {
  const file = databaseFile(stateDirectory);
  let database: DatabaseSync | undefined;
  try {
    makeDirectory(dirname(file));
    makePrivateFile(file);
    database = new DatabaseSync(file);
    // Before the first access to the WAL: https://www.sqlite.org/wal.html#use_of_wal_without_shared_memory
    database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    // Else a large change writes what it may have to undo to /var/tmp or /tmp, which need not be writable.
    database.exec("PRAGMA temp_store = MEMORY");
    migrate(database, file);
    assertIntact(database);
    return database;
  } catch (error) {
    database?.close();
    throw toStoreOpenError(error, file);
  }
}

function assertIntact(database: DatabaseSync): void {
  const finding = database.prepare("PRAGMA quick_check(1)").get()?.["quick_check"];
  if (finding !== "ok") throw new UnreadableRowError(String(finding));
}

/** Makes the directory and fsyncs its way down, so that a power failure can't take a directory with acknowledged writes. */
function makeDirectory(directory: string): void {
  const topmost = mkdirSync(directory, { recursive: true, mode: 0o700 });
  if (topmost === undefined) return;
  const stop = dirname(topmost);
  let parent = directory;
  do {
    parent = dirname(parent);
    syncDirectory(parent);
  } while (parent !== stop);
}

function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** SQLite gives the -wal file the mode of the database. An existing file isn't opened: closing it would drop SQLite's POSIX locks. */
function makePrivateFile(file: string): void {
  try {
    closeSync(openSync(file, "wx", 0o600));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    chmodSync(file, 0o600);
  }
}
