import { textOf } from "../row.ts";
import { defineTable } from "./table.ts";

export const liftsTable = defineTable({
  name: "lifts",
  key: ["address"],
  keyOf: (address: string) => [address],
  encode: (address) => ({ address }),
  decode: (row) => textOf(row, "address"),
});
