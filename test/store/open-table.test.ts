import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { queryObjects } from "node:v8";
import { openTable } from "../../src/store/open-table.ts";
import { textOf } from "../../src/store/row.ts";
import { defineTable } from "../../src/store/tables/table.ts";

class Entry {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}

const table = defineTable({
  name: "entries",
  key: ["name"],
  keyOf: ({ name }: Entry) => [name],
  encode: ({ name }) => ({ name }),
  decode: (row) => new Entry(textOf(row, "name")),
});

test("entries that are deleted are not kept by the database that they were read from", () => {
  const database = new DatabaseSync(":memory:");
  database.exec("CREATE TABLE entries (name TEXT PRIMARY KEY); INSERT INTO entries VALUES ('a'), ('b'), ('c')");
  const open = openTable(database, table);
  assert.deepEqual(
    open.committed.values().map(({ name }) => name),
    ["a", "b", "c"],
  );
  open.begin();
  for (const name of ["a", "b", "c"]) open.delete(name);
  open.keep();
  assert.equal(open.committed.values().length, 0);
  assert.equal(queryObjects(Entry), 0);
  database.close();
});
