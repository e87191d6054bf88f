import type { KernelBan } from "../../domain/ban.ts";
import { integerOf, jsonArrayOf, textOf } from "../row.ts";
import { defineTable } from "./table.ts";

export const kernelBansTable = defineTable({
  name: "kernel_bans",
  key: ["home", "address"],
  keyOf: (ban: KernelBan) => [ban.home, ban.address],
  encode: ({ home, address, policies, since, expiresAt }) => ({
    home,
    address,
    policies: JSON.stringify(policies),
    since,
    expires_at: expiresAt,
  }),
  decode: (row) => ({
    home: textOf(row, "home"),
    address: textOf(row, "address"),
    policies: jsonArrayOf(row, "policies", (policy) => typeof policy === "string"),
    since: integerOf(row, "since"),
    expiresAt: integerOf(row, "expires_at"),
  }),
});
