/** At which numbers the cost of what grows is measured. */
export const growthSteps = { policies: [10, 100, 1000], bans: [100, 10_000, 50_000] } as const;
export type Growing = keyof typeof growthSteps;

/** What of it is measured. */
export const costs = ["apply one more", "list all", "memory"] as const;
export type Cost = (typeof costs)[number];

/** How a finding of growth names what it is about, so that the plot finds it again. */
export function growthWork(cost: Cost, what: Growing, count: number): string {
  return `${cost}, ${count.toLocaleString("en")} ${what}`;
}
