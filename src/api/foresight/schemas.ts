import type { TSchema } from "typebox";
import { maxImpactSources } from "../../domain/foresight.ts";
import { network, reference, strictObject } from "../fields.ts";
import { Type } from "../schema-type.ts";

const lines = (program: string) => Type.Array(Type.String(), { description: `Lines for \`${program}\`.` });

/** What a write would send to the kernel. */
export const WritePlanResource = strictObject(
  {
    ipv4: lines("iptables-restore --noflush"),
    ipv6: lines("ip6tables-restore --noflush"),
    recent: Type.Array(
      strictObject({
        list: Type.String({ description: "The name of the list.", examples: ["cld4-host"] }),
        write: Type.String({ description: "What is written to its file.", examples: ["+203.0.113.9"] }),
      }),
      { description: "Writes to lists of xt_recent." },
    ),
    ipset: lines("ipset restore"),
  },
  { $id: "WritePlan", description: "All that the write would send to the kernel, to the letter." },
);

/** Whom a write would concern. */
export const ImpactResource = strictObject(
  {
    sources: Type.Array(
      strictObject({
        source: network("The address; for a policy the network by which it counts.", "203.0.113.9"),
        connections: Type.Integer({
          minimum: 0,
          description: "What it holds now: to the ports of the policy, for a ban to any port of this host.",
          examples: [12],
        }),
        limit: Type.Integer({ minimum: 0, description: "What it may hold; 0 for a ban.", examples: [2] }),
        outcome: Type.Enum(["refused", "banned", "observed", "exempt", "protected"], {
          type: "string",
          description:
            "What would become of it. `observed`: nothing, as the policy refuses nothing; `exempt` and `protected`: nothing, as it is never counted.",
        }),
      }),
      { maxItems: maxImpactSources, description: "Most connections first." },
    ),
  },
  { $id: "Impact", description: "Whom the write would concern the moment it goes live, measured from the open connections." },
);

/** The answer of a dry run, with the body that the write would answer. */
export function foresightOf<T extends TSchema>(result: T, $id: string) {
  return strictObject(
    {
      dryRun: Type.Literal(true),
      changed: Type.Boolean({ description: "Whether the write would change anything." }),
      result,
      plan: reference(WritePlanResource),
      impact: reference(ImpactResource),
      warnings: Type.Array(Type.String(), { description: "What to know before the write, in sentences." }),
    },
    { $id, description: "What the write would do. Nothing was stored, and nothing was changed." },
  );
}

/** The dry run of a write that answers without a body. */
export const LiftForesightResource = foresightOf(
  Type.Null({ description: "The write answers without a body." }),
  "LiftForesight",
);
