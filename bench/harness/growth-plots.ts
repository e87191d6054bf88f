import { type Cost, costs, type Growing, growthSteps, growthWork } from "../resources/growth-work.ts";
import type { Finding } from "./finding.ts";
import type { Plot } from "./plot.ts";

const growing = Object.keys(growthSteps) as readonly Growing[];
const units: Readonly<Record<Cost, string>> = { "apply one more": "ms", "list all": "ms", memory: "MB" };

const works: ReadonlySet<string> = new Set(
  growing.flatMap((what) => costs.flatMap((cost) => growthSteps[what].map((count) => growthWork(cost, what, count)))),
);

/** True for what the plots show. */
export function isGrowth({ work }: Pick<Finding, "work">): boolean {
  return works.has(work);
}

/** A plot for each cost of each growing thing, a line for each backend. */
export function growthPlots(findings: readonly Finding[]): readonly Plot[] {
  const backends = [...new Set(findings.filter(isGrowth).map(({ backend }) => backend))];
  return growing.flatMap((what) =>
    costs.map((cost) => ({
      title: `${cost}, ${units[cost]}, by ${what}`,
      series: backends.map((backend) => ({
        name: backend,
        points: growthSteps[what].flatMap((count) => {
          const found = findings.find((one) => one.backend === backend && one.work === growthWork(cost, what, count));
          return found === undefined ? [] : [[count, found.spread.median] as const];
        }),
      })),
    })),
  );
}
