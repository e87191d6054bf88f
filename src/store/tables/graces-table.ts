import type { Grace } from "../../domain/ban.ts";
import { integerOf, textOf } from "../row.ts";
import { defineTable } from "./table.ts";

export const gracesTable = defineTable({
  name: "graces",
  key: ["address"],
  keyOf: (grace: Grace) => [grace.address],
  encode: ({ address, until }) => ({ address, ends_at: until }),
  decode: (row) => ({ address: textOf(row, "address"), until: integerOf(row, "ends_at") }),
});
