import { type Confirmation, compareConfirmations } from "../../domain/confirmation.ts";
import { integerOf, integerOrNullOf, jsonRowOf, textOf } from "../row.ts";
import { policiesTable } from "./policies-table.ts";
import { defineTable } from "./table.ts";

export const confirmationsTable = defineTable({
  name: "confirmations",
  key: ["id"],
  keyOf: (confirmation: Confirmation) => [confirmation.id],
  encode: ({ id, policy, previous, actor, createdAt, revertsAt, revertedAt }) => ({
    id,
    policy,
    previous: previous && JSON.stringify(policiesTable.encode(previous)),
    actor,
    created_at: createdAt,
    reverts_at: revertsAt,
    reverted_at: revertedAt,
  }),
  decode: (row) => ({
    id: textOf(row, "id"),
    policy: textOf(row, "policy"),
    previous: row["previous"] === null ? null : policiesTable.decode(jsonRowOf(row, "previous")),
    actor: textOf(row, "actor"),
    createdAt: integerOf(row, "created_at"),
    revertsAt: integerOf(row, "reverts_at"),
    revertedAt: integerOrNullOf(row, "reverted_at"),
  }),
  compare: compareConfirmations,
});
