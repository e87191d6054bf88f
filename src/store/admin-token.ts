import { randomBytes } from "node:crypto";
import { chmodSync, closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";

/** Bytes of randomness in a token. */
const tokenBytes = 32;

/** The file that holds the administrator's token is not usable; the message names it and the way out. */
export class AdminTokenError extends Error {
  override readonly name = "AdminTokenError";
}

/**
 * The administrator's token: 256 random bits, made at the first start in a file that only its owner can read.
 * @throws {AdminTokenError} when the file holds no token, or can't be made
 */
export function loadAdminToken(stateDirectory: string): string {
  const file = join(stateDirectory, "admin.token");
  const token = readOrMake(file);
  if (!/^[\w-]{43,}$/.test(token))
    throw new AdminTokenError(`${file} holds no token; remove it, and the next start makes a new one`);
  return token;
}

function readOrMake(file: string): string {
  try {
    if (!existsSync(file)) create(file);
    chmodSync(file, 0o600);
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new AdminTokenError(`${file} can't be made or read (${reason}); check the owner, the mode and the free space`);
  }
}

/** Under another name first: a process that is killed half way, or a full disk, must not leave a file without a token. */
function create(file: string): void {
  const draft = `${file}.new`;
  const descriptor = openSync(draft, "w", 0o600);
  try {
    writeSync(descriptor, `${randomBytes(tokenBytes).toString("base64url")}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(draft, file);
}
