/** Who asks for a write. */
export interface Caller {
  /** A token's name, `admin` for the one in the file, or `socket`. */
  readonly actor: string;
  /** Canonical, without a zone; `null` over a unix socket. */
  readonly address: string | null;
  /** Has the scope `admin`. */
  readonly admin: boolean;
  /** The request by which they ask, as the log and the audit name it; `null` where there is none. */
  readonly requestId: string | null;
}

/** Who writes, and what they insist on. */
export interface WriteTerms {
  readonly caller: Caller;
  /** Go on although somebody would be shut out; needs `admin`. Protected networks stay out of reach. */
  readonly allowLockout?: boolean;
}

export interface PolicyWriteTerms extends WriteTerms {
  /** Undo the change unless it is confirmed in so many seconds, 10 to 3600. */
  readonly confirmWithin?: number;
}
