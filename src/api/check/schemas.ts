import { BanResource } from "../bans/schemas.ts";
import { address, nullable, outputTime, policyName, reference, strictObject } from "../fields.ts";
import { Type } from "../schema-type.ts";

/** Whom to ask about. */
export const CheckPath = strictObject({ ip: address("The address.", "203.0.113.9") });

const policyCheck = strictObject({
  name: policyName("The policy."),
  mode: Type.Enum(["enforce", "observe"], { type: "string", description: "`observe` refuses nothing." }),
  ports: Type.Array(Type.Integer(), { description: "The ports whose connections it counts." }),
  maxConnections: Type.Integer({ description: "What one source may hold." }),
  openConnections: Type.Integer({
    minimum: 0,
    description: "What the source holds now: the address, or the whole network by which the policy counts.",
  }),
  overLimit: Type.Boolean({ description: "The next connection would exceed the limit." }),
  exempt: Type.Boolean({ description: "The policy never counts the address." }),
  bannedUntil: nullable(outputTime("The end of this policy's ban on the address."), { description: "null: there is none." }),
});

/** What would happen to the next connection of an address. */
export const CheckResource = strictObject(
  {
    address: address("The address, in canonical form.", "203.0.113.9"),
    verdict: Type.Enum(["allowed", "banned", "limited", "protected"], {
      type: "string",
      description:
        "What a new connection meets as far as this service decides: `limited` is refused by the limit of a policy, `protected` is never counted and never banned. Rules of others below this service's, and native nftables rules, can still refuse what is `allowed`.",
    }),
    bans: Type.Array(reference(BanResource), { description: "The bans that cover it." }),
    policies: Type.Array(policyCheck, { description: "The policies in the kernel, by name." }),
    graceUntil: nullable(outputTime("Until when no policy bans it."), { description: "null: policies may ban it." }),
    shadowedBy: Type.Array(Type.String(), {
      description: "Rules of others, as iptables-save prints them, that are asked before ours and could decide otherwise.",
    }),
    enforced: Type.Boolean({
      description:
        "The rules of this service are in the kernel as they have to be, and in step with the store: the verdict is about all that is stored.",
    }),
  },
  { $id: "Check", description: "What would happen to a connection of this address now, from the kernel." },
);
