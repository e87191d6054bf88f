import type { Caller, PolicyWriteTerms, WriteTerms } from "../../domain/caller.ts";
import { confirmWithinLimits } from "../../domain/confirmation.ts";
import { integer } from "../fields.ts";
import { Type } from "../schema-type.ts";

/** The query parameters of every write of a policy or a ban. */
export const writeParameters = {
  dryRun: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        "Judge the write and answer what it would do (200), or refuse it as the write would be refused; nothing is stored, and nothing is changed.",
    }),
  ),
  allowLockout: Type.Optional(
    Type.Boolean({
      default: false,
      description:
        "Go on although somebody would be shut out; needs the scope `admin`. Protected networks stay out of reach all the same.",
    }),
  ),
};

/** The same and what policies alone take. */
export const policyWriteParameters = {
  ...writeParameters,
  confirmWithin: Type.Optional(
    integer(
      confirmWithinLimits,
      "Seconds after which the change is undone unless `POST /v1/confirmations/{id}` keeps it. The answer has the id. The deadline is stored: it holds over a crash and a restart. A dry run arms nothing.",
      60,
    ),
  ),
};

/** Who writes a ban, and what they insist on. */
export function writeTerms(caller: Caller, { allowLockout }: { readonly allowLockout?: boolean }): WriteTerms {
  return { caller, ...(allowLockout === undefined ? {} : { allowLockout }) };
}

/** The same for a policy. */
export function policyWriteTerms(
  caller: Caller,
  { confirmWithin, ...query }: { readonly allowLockout?: boolean; readonly confirmWithin?: number },
): PolicyWriteTerms {
  return { ...writeTerms(caller, query), ...(confirmWithin === undefined ? {} : { confirmWithin }) };
}
