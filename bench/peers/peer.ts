/** What became of a number of bans. */
export interface PeerResult {
  readonly seconds: number;
  /** How many it said it had made. */
  readonly acknowledged: number;
  /** How many it refused although nothing was wrong with them. */
  readonly failed?: number;
  /** How many the kernel held afterwards. */
  readonly inKernel: number;
}

/** Another way to ban addresses. */
export interface Peer {
  readonly name: string;
  /** It is measured where this program is installed. */
  readonly program: string;
  /** Bans so many addresses on a host of its own. */
  measure(count: number): Promise<PeerResult>;
}
