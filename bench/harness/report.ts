import type { Finding } from "./finding.ts";
export interface Report {
  readonly machine: string;
  readonly findings: readonly Finding[];
  readonly rounds: number;
  readonly when: Date;
}
export async function writeReport(_report: Report): Promise<void> {}
