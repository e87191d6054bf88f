/** The operator's reason to ban an address: somebody asked over the API. Times are milliseconds since the epoch. */
export interface OperatorBan {
  /** Canonical address (or network). */
  readonly address: string;
  /** Who asked: a token's name, or `socket`. */
  readonly actor: string;
  readonly reason: string;
  readonly since: number;
  /** `null`: until removed. */
  readonly expiresAt: number | null;
}

export type BanCause =
  | {
      readonly by: "operator";
      readonly actor: string;
      readonly reason: string;
      readonly since: number;
      readonly expiresAt: number | null;
    }
  | { readonly by: "policy"; readonly policy: string; readonly since: number; readonly expiresAt: number };

/** One address or network with all the causes for which it is refused. */
export interface Ban {
  readonly address: string;
  /** The latest end of all causes; `null` when one has no end. */
  readonly expiresAt: number | null;
  /** Read back from the kernel, not assumed. */
  readonly enforced: boolean;
  readonly causes: readonly BanCause[];
}

/** A ban that the kernel made by itself because of a policy, as read from the kernel. Times are milliseconds since the epoch. */
export interface KernelBan {
  /** The kernel's list or set that holds it; opaque outside of the firewall. */
  readonly home: string;
  readonly address: string;
  /** The policies whose limit the source exceeded. */
  readonly policies: readonly string[];
  readonly since: number;
  readonly expiresAt: number;
}

/** A source that no policy bans for a while, because somebody unbanned it; policies still limit it. */
export interface Grace {
  /** Canonical address or network. */
  readonly address: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
}
