import { auditActions, auditOutcomes } from "../../domain/audit.ts";
import { inputTime, nullable, outputTime, strictObject } from "../fields.ts";
import { Type } from "../schema-type.ts";

const action = (description: string) => Type.Enum([...auditActions], { type: "string", description });
const outcome = (description: string) => Type.Enum([...auditOutcomes], { type: "string", description });
const text = (description: string, example: string) => Type.String({ maxLength: 200, description, examples: [example] });
const content = (description: string) => nullable(Type.Object({}, { additionalProperties: true }), { description });

/** What narrows the audit. */
export const auditFilters = {
  actor: Type.Optional(text("What this actor did.", "ci")),
  action: Type.Optional(action("Actions of this kind.")),
  resource: Type.Optional(text("What was done to this resource.", "policies/mysql")),
  outcome: Type.Optional(outcome("Entries with this outcome.")),
  since: Type.Optional(inputTime("Not before; with any offset, whose plus sign a query has as %2B.")),
  until: Type.Optional(inputTime("Before; with any offset.")),
};

/** An entry of the audit, as it is answered. */
export const AuditEntryResource = strictObject(
  {
    id: Type.Integer({ minimum: 1, description: "Grows with each entry.", examples: [4711] }),
    at: outputTime("When."),
    actor: nullable(
      Type.String({
        description:
          "Who: the name of a token, `admin` for that of the file, `socket`, or `service` for what the service did by itself.",
        examples: ["ci"],
      }),
      { description: "null: nobody who is known." },
    ),
    address: nullable(Type.String({ description: "From where.", examples: ["203.0.113.7"] }), {
      description: "null: over a unix socket, or by the service itself.",
    }),
    action: action(
      "What. `authenticate`: a token that is not good; `authorize`: a good one that is not for the request. `policy.put` is for POST, PUT and PATCH, `ban.put` for POST and PUT.",
    ),
    resource: nullable(Type.String({ description: "To what.", examples: ["policies/mysql", "bans/203.0.113.9", "tokens/ci"] }), {
      description: "null: it was refused before that mattered.",
    }),
    outcome: outcome("`taken-back`: it was stored, and undone when the kernel refused it."),
    problem: nullable(Type.String({ description: "The last part of the problem's `type`.", examples: ["lockout"] }), {
      description: "null: nothing refused it.",
    }),
    detail: nullable(Type.String({ description: "Why it was refused." }), { description: "null: it was not." }),
    requestId: nullable(Type.String({ description: "The `X-Request-Id` of the answer, which the log has too." }), {
      description: "null: nobody asked.",
    }),
    revision: strictObject(
      { before: Type.Integer({ minimum: 0 }), after: Type.Integer({ minimum: 0 }) },
      { description: "Of the whole store, which moves on with every change." },
    ),
    before: content("What stood there; null: nothing, or nothing was changed."),
    after: content(
      "What stood there afterwards; null: nothing. For a batch, how many did what, and the first hundred addresses.",
    ),
  },
  { $id: "AuditEntry", description: "Who did what, and when. Secrets are never in it." },
);
