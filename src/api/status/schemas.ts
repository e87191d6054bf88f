import { SourceResource } from "../connections/schemas.ts";
import { network, nullable, outputTime, policyName, strictObject } from "../fields.ts";
import { Type } from "../schema-type.ts";
import { warningCodes } from "./warnings.ts";

const count = (description: string) => Type.Integer({ minimum: 0, description });
const fill = strictObject({ operatorBans: count("Bans that operators made."), capacity: count("How many there can be.") });
const shadowedBy = Type.Array(Type.String(), {
  description: "Rules of others, as iptables-save prints them, that are asked before ours and could decide otherwise.",
});

const backend = strictObject({
  name: Type.Enum(["nft", "legacy"], { type: "string" }),
  iptablesVersion: Type.String({ examples: ["1.8.9"] }),
  otherBackendInUse: Type.Boolean({ description: "The other backend has rules too, and packets meet both." }),
  ipset: strictObject({
    available: Type.Boolean(),
    reason: nullable(Type.String(), { description: "Why there are no ipsets; null where there are." }),
  }),
});

const passes = strictObject(
  {
    lastAt: nullable(outputTime("When the last one ended well."), { description: "null: none has yet." }),
    repairs: strictObject({
      count: count("How many found the kernel changed by somebody else, since the start of the service."),
      latest: Type.Array(
        strictObject({
          at: outputTime("When."),
          found: Type.Array(Type.String(), { description: "What differed; the first of many." }),
          writes: count("How many lines and entries were written."),
        }),
        { description: "Newest first." },
      ),
    }),
  },
  { description: "Passes over the kernel's rules and lists." },
);

const bans = strictObject({
  ipv4: fill,
  ipv6: fill,
  policyBans: count("Bans that policies made."),
  notEnforced: count("Bans that the kernel does not hold now."),
  networks: Type.Boolean({ description: "Whether networks can be banned." }),
  remedy: Type.String({ description: "How to make room, or to be able to ban networks." }),
});

const list = strictObject({
  name: Type.String({ examples: ["cld4-operator"] }),
  kind: Type.Enum(["xt_recent", "ipset"], { type: "string" }),
  entries: count("How many it has."),
  capacity: count("How many it holds."),
});

const sourceOverLimit = strictObject({
  policy: policyName("Whose limit."),
  ...SourceResource.properties,
  source: network("The address, or the network where the policy counts by a shorter prefix.", "203.0.113.9"),
  maxConnections: Type.Integer({ minimum: 1, description: "The limit." }),
});

const warning = strictObject({
  code: Type.Enum([...warningCodes], { type: "string", description: "What kind of warning it is; each comes once." }),
  message: Type.String({ description: "What is wrong." }),
  remedy: Type.String({ description: "What to do about it." }),
});

/** How the service and what it stands on are. */
export const StatusResource = strictObject(
  {
    version: Type.String({ description: "Of the service." }),
    uptimeSeconds: count("How long the service has been running."),
    state: Type.Enum(["ok", "warning", "failing"], {
      type: "string",
      description: "`failing`: the kernel is not in step with the store; `warning`: see `warnings`.",
    }),
    inStep: Type.Boolean({ description: "The kernel is in step with the store." }),
    failure: nullable(Type.String(), { description: "Why it is not." }),
    backend,
    passes,
    policies: strictObject({ enforce: count("In this mode."), observe: count("In this mode."), off: count("In this mode.") }),
    bans,
    graces: count("Addresses that no policy bans for a while."),
    lists: Type.Array(list, { description: "The service's own lists and sets in the kernel." }),
    shadowedBy,
    countsForgottenAt: nullable(outputTime("When a change of the table made the kernel forget the counts of connections last."), {
      description: "null: not as far as was seen.",
    }),
    overLimit: Type.Array(sourceOverLimit, {
      description:
        "Sources that hold more connections than a policy allows, by policy: those that were open before the policy was, or that the kernel forgot to count.",
    }),
    warnings: Type.Array(warning, { description: "What may need a person; each with its remedy." }),
  },
  { $id: "Status", description: "How the service, the kernel and its tools are." },
);
