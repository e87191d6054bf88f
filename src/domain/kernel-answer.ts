import { DomainError } from "./errors.ts";
import { EnforcementDelayed } from "./ports.ts";

/** What the kernel answers. @throws {DomainError} `not-ready` when it can't answer now */
export async function kernelAnswer<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof EnforcementDelayed)) throw error;
    throw new DomainError("not-ready", `The kernel can't be read now: ${error.message}.`);
  }
}
