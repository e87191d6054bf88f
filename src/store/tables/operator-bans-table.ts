import type { OperatorBan } from "../../domain/ban.ts";
import { createRepetition, integerOf, integerOrNullOf, textOf } from "../row.ts";
import { defineTable } from "./table.ts";

const [repeatedActor, repeatedReason] = [createRepetition(), createRepetition()];

export const operatorBansTable = defineTable({
  name: "operator_bans",
  key: ["address"],
  keyOf: (ban: OperatorBan) => [ban.address],
  encode: ({ address, actor, reason, since, expiresAt }) => ({ address, actor, reason, since, expires_at: expiresAt }),
  decode: (row) => ({
    address: textOf(row, "address"),
    actor: repeatedActor(textOf(row, "actor")),
    reason: repeatedReason(textOf(row, "reason")),
    since: integerOf(row, "since"),
    expiresAt: integerOrNullOf(row, "expires_at"),
  }),
});
