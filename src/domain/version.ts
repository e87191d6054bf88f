import { createHash } from "node:crypto";

/** A short opaque name for `content`: the same for the same content, another for any other. */
export function versionOf(content: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(content)).digest("base64url").slice(0, 22);
}
