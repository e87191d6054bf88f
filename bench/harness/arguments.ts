import { parseArgs } from "node:util";
import type { Backend } from "../../test/support/kernel.ts";
import type { Effort } from "./bench.ts";

export interface RunArguments extends Effort {
  /** Beginnings of names of benches; all where there is none. */
  readonly only: readonly string[];
  readonly backends: readonly Backend[];
  readonly peers: boolean;
  readonly quick: boolean;
  /** Writes docs and figures. */
  readonly writes: boolean;
}

const efforts = {
  full: { rounds: 7, fewRounds: 2, seconds: 1 },
  quick: { rounds: 3, fewRounds: 1, seconds: 1 },
} as const satisfies Record<string, Effort>;

export const usage = `npm run bench -- [--only NAME]... [--backend nft|legacy] [--quick] [--peers] [--rounds N] [--dry]
  --only     benches whose names begin with this: packets, api/ban-writes, ...; then docs/benchmarks.md stays as it is
  --quick    3 rounds of a second; docs/benchmarks.md stays as it is
  --peers    also fail2ban, CrowdSec, ipset, nft and the classic rules, as far as they are installed
  --rounds   alternating rounds of each comparison
  --dry      writes neither documents nor figures`;

/** @throws {TypeError} for what it does not know */
export function readRunArguments(args: readonly string[]): RunArguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string", multiple: true, default: [] },
      backend: { type: "string" },
      quick: { type: "boolean", default: false },
      peers: { type: "boolean", default: false },
      dry: { type: "boolean", default: false },
      rounds: { type: "string" },
    },
  });
  const { only, backend, quick, peers, dry } = values;
  const all: readonly Backend[] = ["nft", "legacy"];
  const backends = all.filter((one) => backend === undefined || backend === one);
  if (backends.length === 0) throw new TypeError(`--backend takes nft or legacy, not ${backend}`);
  const effort = quick ? efforts.quick : efforts.full;
  const rounds = Number(values.rounds ?? effort.rounds);
  if (!Number.isInteger(rounds) || rounds < 1)
    throw new TypeError(`--rounds takes a whole number from 1 on, not ${values.rounds}`);
  const isWhole = only.length === 0 && backends.length === all.length && !quick;
  return { ...effort, rounds, only, backends, peers, quick, writes: isWhole && !dry };
}
