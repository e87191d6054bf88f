import type { DatabaseSync } from "node:sqlite";
import { initial } from "./migrations/0001-initial.ts";
import { kernelBans } from "./migrations/0002-kernel-bans.ts";
import { confirmations } from "./migrations/0003-confirmations.ts";
import { tokens } from "./migrations/0004-tokens.ts";
import { audit } from "./migrations/0005-audit.ts";
import { StoreOpenError } from "./store-error.ts";

/** The script at index n takes a database from `user_version` n to n + 1. A released script is never edited. */
const migrations: readonly string[] = [initial, kernelBans, confirmations, tokens, audit];

/**
 * Brings the database to the newest version, in one transaction.
 * @throws {StoreOpenError} `newer-version` for a database that a later release wrote
 */
export function migrate(database: DatabaseSync, file: string): void {
  database.exec("BEGIN IMMEDIATE");
  try {
    const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"]);
    if (version > migrations.length) {
      throw new StoreOpenError(
        "newer-version",
        file,
        `${file}: written by a newer connlimitd (schema ${version}, this one knows up to ${migrations.length}); ` +
          "run that release again, or restore the copy of the file from before the upgrade",
      );
    }
    for (const script of migrations.slice(version)) database.exec(script);
    database.exec(`PRAGMA user_version = ${migrations.length}`);
    database.exec("COMMIT");
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}
