import type { Scope } from "./scope.ts";

/** A named token. Its secret is known to whoever made it and to nobody else. Times are milliseconds since the epoch. */
export interface Token {
  readonly name: string;
  /** At least one, in the order of `scopes`. */
  readonly scopes: readonly Scope[];
  /** The SHA-256 of the secret, in hexadecimal. */
  readonly digest: string;
  readonly createdAt: number;
  /** `null`: good until it is removed. */
  readonly expiresAt: number | null;
}

/** The order in which they are listed: by name. */
export function compareTokens(a: Pick<Token, "name">, b: Pick<Token, "name">): number {
  return a.name < b.name ? -1 : Number(a.name > b.name);
}
