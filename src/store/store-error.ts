/** Why the store could not be opened. */
export type StoreOpenErrorCode = "in-use" | "newer-version" | "corrupt" | "unusable";

/** The state directory can't serve; the message names the file and the way out. */
export class StoreOpenError extends Error {
  override readonly name = "StoreOpenError";
  readonly code: StoreOpenErrorCode;
  readonly file: string;

  constructor(code: StoreOpenErrorCode, file: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.file = file;
  }
}

/** The `StoreOpenError` for whatever went wrong while `file` was opened and read. */
export function toStoreOpenError(error: unknown, file: string): StoreOpenError {
  if (error instanceof StoreOpenError) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const code = openErrorCode(error);
  return new StoreOpenError(code, file, `${file}: ${remedies[code](reason)}`, error);
}

const remedies = {
  "in-use": () => "another connlimitd uses this state directory; stop it, or give this one its own CONNLIMITD_STATE_DIR",
  corrupt: (reason: string) =>
    `the state database is damaged (${reason}); restore it from a backup, or move it and its -wal file away to start with no policies and no bans`,
  unusable: (reason: string) =>
    `the state database can't be opened (${reason}); check the owner, the mode and the free space of its directory`,
} as const;

/** A row holds what this version never writes. */
export class UnreadableRowError extends Error {
  override readonly name = "UnreadableRowError";
}

/** Primary result codes: https://www.sqlite.org/rescode.html */
const sqliteCodes = new Map<number, keyof typeof remedies>([
  [5, "in-use"],
  [6, "in-use"],
  [11, "corrupt"],
  [26, "corrupt"],
]);

function openErrorCode(error: unknown): keyof typeof remedies {
  if (error instanceof UnreadableRowError) return "corrupt";
  // A number that is larger than any that is written.
  if (error instanceof RangeError && "code" in error && error.code === "ERR_OUT_OF_RANGE") return "corrupt";
  if (error instanceof Error && "errcode" in error && typeof error.errcode === "number") {
    return sqliteCodes.get(error.errcode & 0xff) ?? "unusable";
  }
  return "unusable";
}
