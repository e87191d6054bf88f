import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import { type AuditContent, changedNote, timeOf } from "./audit.ts";
import type { WriteTerms } from "./caller.ts";
import { DomainError, type FieldError } from "./errors.ts";
import type { Foresight } from "./foresight.ts";
import { policyNamePattern } from "./policy-rules.ts";
import type { Clock, DesiredState, Store } from "./ports.ts";
import { type Scope, scopes as scopeOrder } from "./scope.ts";
import type { Token } from "./token.ts";

/** What a caller asks of a token; `expiresAt` in milliseconds since the epoch, `null`: good until it is removed. */
export interface TokenRequest {
  readonly name: string;
  readonly scopes: readonly Scope[];
  readonly expiresAt: number | null;
}

/** A new token with its secret, which nobody can read again. */
export interface IssuedToken {
  readonly token: Token;
  readonly secret: string;
}

/** Each refuses what the write would refuse, with the same error, and changes nothing. The kernel is never concerned. */
export interface TokenForesight {
  create(asked: TokenRequest): Foresight<Token>;
  remove(name: string): Foresight<null>;
}

/** The named tokens. */
export interface TokenService {
  /** Sorted by name, expired ones included until they are removed. */
  list(): readonly Token[];
  /** @throws {DomainError} `invalid-input`, `already-exists` */
  create(asked: TokenRequest, terms: WriteTerms): Promise<IssuedToken>;
  /** From its answer on, the token is not known any more. @throws {DomainError} `not-found` */
  remove(name: string, terms: WriteTerms): Promise<void>;
  /** What each write would do. */
  readonly foresee: TokenForesight;
  /** Whose secret this is; `expired` for one whose time is over, `undefined` for any other text. */
  identify(secret: string): Token | "expired" | undefined;
}

export interface TokenServiceOptions {
  readonly store: Store;
  readonly clock: Clock;
}

/** Actors that are no tokens: the token in the file, who opens the unix socket, and the service itself. */
const reservedNames: ReadonlySet<string> = new Set(["admin", "socket", "service"]);

/** Bytes of randomness in a secret. */
const secretBytes = 32;

export function createTokenService({ store, clock }: TokenServiceOptions): TokenService {
  const find = createFinder(store);

  function decide(state: Pick<DesiredState, "token">, { name, scopes, expiresAt }: TokenRequest, secret: string): Token {
    const now = clock.now();
    assertTakable({ name, scopes, expiresAt }, now);
    if (state.token(name) !== undefined)
      throw new DomainError("already-exists", `There is a token ${name} already. Remove it first, or take another name.`);
    const held = scopeOrder.filter((scope) => scopes.includes(scope));
    return { name, scopes: held, digest: digestOf(secret).toString("hex"), createdAt: now, expiresAt };
  }

  const newSecret = () => randomBytes(secretBytes).toString("base64url");
  return {
    list: () => store.tokens(),
    async create(asked, { caller }) {
      const secret = newSecret();
      const token = await store.transact((change) => {
        const decided = decide(change, asked, secret);
        change.putToken(decided);
        const note = {
          action: "token.create",
          resource: tokenResource(decided),
          before: null,
          after: contentOf(decided),
        } as const;
        change.audit(changedNote(caller, decided.createdAt, note));
        return decided;
      });
      return { token, secret };
    },
    async remove(name, { caller }) {
      await store.transact((change) => {
        const token = existing(change, name);
        change.deleteToken(name);
        const note = { action: "token.delete", resource: tokenResource(token), before: contentOf(token), after: null } as const;
        change.audit(changedNote(caller, clock.now(), note));
      });
    },
    foresee: {
      create: (asked) => foresight(decide(store, asked, newSecret()), true),
      remove(name) {
        existing(store, name);
        return foresight(null, false);
      },
    },
    identify(secret) {
      const token = find(digestOf(secret));
      if (token === undefined || token.expiresAt === null || token.expiresAt > clock.now()) return token;
      return "expired";
    },
  };
}

/**
 * Finds tokens by the digests of their secrets. What is compared are digests of 256 random bits: who guesses can steer neither of
 * them, so that the time of a look-up tells nothing about a secret; the last comparison takes the same time for all digests.
 */
function createFinder(store: Pick<DesiredState, "tokens">): (digest: Buffer) => Token | undefined {
  const shelfOf = (digest: string) => digest.slice(0, 16);
  let indexed: readonly Token[] | undefined;
  let shelves: ReadonlyMap<string, readonly Token[]> = new Map();

  return (digest) => {
    // The store answers the same array until something changes, and only what is committed.
    const tokens = store.tokens();
    if (tokens !== indexed) {
      shelves = Map.groupBy(tokens, (token) => shelfOf(token.digest));
      indexed = tokens;
    }
    const candidates = shelves.get(shelfOf(digest.toString("hex"))) ?? [];
    return candidates.find((token) => timingSafeEqual(Buffer.from(token.digest, "hex"), digest));
  };
}

function tokenResource({ name }: Token): string {
  return `tokens/${name}`;
}

/** What is noted of a token: not even the digest of its secret. */
function contentOf({ scopes, expiresAt }: Token): AuditContent {
  return { scopes, expiresAt: timeOf(expiresAt) };
}

function digestOf(secret: string): Buffer {
  return hash("sha256", secret, "buffer");
}

/** @throws {DomainError} `invalid-input` with every field that is wrong */
function assertTakable({ name, scopes, expiresAt }: TokenRequest, now: number): void {
  const errors: FieldError[] = [];
  if (!policyNamePattern.test(name))
    errors.push({ pointer: "/name", message: "takes 1 to 20 of a-z, 0-9 and -, beginning with a letter" });
  if (reservedNames.has(name)) {
    const taken = [...reservedNames].join(", ");
    errors.push({ pointer: "/name", message: `takes no name that stands for somebody already (${taken})` });
  }
  if (scopes.length === 0) errors.push({ pointer: "/scopes", message: `takes at least one of ${scopeOrder.join(", ")}` });
  if (expiresAt !== null && !(expiresAt > now)) {
    errors.push({ pointer: "/expiresAt", message: `takes a time in the future; it is ${new Date(now).toISOString()} here` });
  }
  if (errors.length > 0) throw new DomainError("invalid-input", "The token has fields that can't be taken.", errors);
}

function existing(state: Pick<DesiredState, "token">, name: string): Token {
  const token = state.token(name);
  if (token !== undefined) return token;
  const hint = name === "admin" ? " To replace admin.token, remove that file and restart the service." : "";
  throw new DomainError("not-found", `There is no token ${name}.${hint}`);
}

function foresight<Result>(result: Result, created: boolean): Foresight<Result> {
  const plan = { ipv4: [], ipv6: [], recent: [], ipset: [] };
  return { changed: true, created, result, plan, impact: { sources: [] }, warnings: [] };
}
