import type { Backend } from "../../test/support/kernel.ts";
import type { Finding } from "./finding.ts";

/** How long and how often is measured. */
export interface Effort {
  /** Rounds of each comparison. */
  readonly rounds: number;
  /** Seconds of each load. */
  readonly seconds: number;
  /** Rounds of what takes long to set up. */
  readonly fewRounds: number;
}

/** Where and how a bench measures. */
export interface BenchContext extends Effort {
  readonly backend: Backend;
  /** Tells whoever watches what is being done. */
  readonly say: (text: string) => void;
}

/** One or a few rows of the table. */
export interface Bench {
  /** As `--only` takes it: `packets/established`. */
  readonly name: string;
  /** Measured once rather than on each backend. */
  readonly once?: boolean;
  run(context: BenchContext): Promise<readonly Finding[]>;
}
