import { policyLimits } from "../../domain/policy-rules.ts";
import { address, integer, strictObject } from "../fields.ts";
import { Type } from "../schema-type.ts";

/** A source and how many connections it has open. */
export const SourceResource = strictObject(
  {
    source: address("The address.", "203.0.113.9"),
    connections: Type.Integer({ minimum: 1, description: "Its open connections.", examples: [12] }),
  },
  { $id: "Source", description: "A source of open connections." },
);

/** All the sources in a few numbers. */
export const DistributionResource = strictObject(
  {
    sources: Type.Integer({ minimum: 0, description: "How many sources there are." }),
    connections: Type.Integer({ minimum: 0, description: "How many connections they have open together." }),
    max: Type.Integer({ minimum: 0, description: "The most that one source has." }),
    p99: Type.Integer({ minimum: 0, description: "99 of 100 sources have no more than this." }),
    p50: Type.Integer({ minimum: 0, description: "Half of the sources have no more than this." }),
  },
  { $id: "Distribution", description: "Open connections per source, over all pages: to choose a limit by." },
);

/** What narrows the list. */
export const connectionFilters = {
  port: Type.Optional(integer(policyLimits.port, "Connections to this port of this host only.", 3306)),
};
