import { createHmac, timingSafeEqual } from "node:crypto";
import { ApiProblem } from "../problems/problem.ts";

/** Makes and reads the opaque positions of lists. A position belongs to one list with one set of filters. */
export interface Cursors {
  /** The position after `key` in the list `scope`. */
  encode(scope: string, key: string): string;
  /** @throws {ApiProblem} `invalid-input` for what this service did not make for this list */
  decode(scope: string, cursor: string): string;
}

const checksumBytes = 12;

/** @param secret the key of the checksums; with the same one, positions stay good over a restart */
export function createCursors(secret: Uint8Array | string): Cursors {
  function checksum(scope: string, key: string): Buffer {
    return createHmac("sha256", secret)
      .update(JSON.stringify(["cursor", scope, key]))
      .digest()
      .subarray(0, checksumBytes);
  }

  return {
    encode: (scope, key) => Buffer.concat([checksum(scope, key), Buffer.from(key)]).toString("base64url"),
    decode(scope, cursor) {
      const bytes = Buffer.from(cursor, "base64url");
      const key = bytes.subarray(checksumBytes).toString();
      // Base64 has spellings that decode to the same bytes; only the one that was handed out is taken.
      const isSpelledAlike = bytes.toString("base64url") === cursor;
      const stamp = bytes.subarray(0, checksumBytes);
      if (isSpelledAlike && stamp.length === checksumBytes && timingSafeEqual(stamp, checksum(scope, key))) return key;
      throw new ApiProblem("invalid-input", "The cursor is not from this list.", {
        errors: [
          { pointer: "cursor", message: "must be the nextCursor of an earlier answer of this route with the same filters" },
        ],
      });
    },
  };
}
