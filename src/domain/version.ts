import { hash } from "node:crypto";

/** A short opaque name for `content`: the same for the same content, another for any other. */
export function versionOf(content: readonly unknown[]): string {
  return hash("sha256", JSON.stringify(content), "base64url").slice(0, 22);
}
