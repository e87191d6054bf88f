import { randomBytes } from "node:crypto";
import { chmodSync, closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/** Bytes of randomness in a token. */
const tokenBytes = 32;

/** The file that holds the administrator's token is not usable; the message names it and the way out. */
export class AdminTokenError extends Error {
  override readonly name = "AdminTokenError";
}

/**
 * The administrator's token: 256 random bits, made at the first start in a file that only its owner can read.
 * @throws {AdminTokenError} when the file holds no token
 */
export function loadAdminToken(stateDirectory: string): string {
  const file = join(stateDirectory, "admin.token");
  createOnce(file);
  chmodSync(file, 0o600);
  const token = readFileSync(file, "utf8").trim();
  if (!/^[\w-]{43,}$/.test(token))
    throw new AdminTokenError(`${file} holds no token; remove it, and the next start makes a new one`);
  return token;
}

function createOnce(file: string): void {
  try {
    const descriptor = openSync(file, "wx", 0o600);
    writeSync(descriptor, `${randomBytes(tokenBytes).toString("base64url")}\n`);
    fsyncSync(descriptor);
    closeSync(descriptor);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}
