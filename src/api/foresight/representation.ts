import type { Foresight } from "../../domain/foresight.ts";

/** Header fields of a dry run: whatever the write would change, this changed nothing. */
export const dryRunHeaders = { "connlimitd-changed": "false" } as const;

/** What callers see of a dry run; `result` is the body that the write would answer. */
export function presentForesight<Result>({ changed, plan, impact, warnings }: Foresight<unknown>, result: Result) {
  const { ipv4, ipv6, recent, ipset } = plan;
  return {
    dryRun: true as const,
    changed,
    result,
    plan: { ipv4, ipv6, recent: recent.map(({ list, write }) => ({ list, write })), ipset },
    impact: {
      sources: impact.sources.map(({ source, connections, limit, outcome }) => ({ source, connections, limit, outcome })),
    },
    warnings,
  };
}
