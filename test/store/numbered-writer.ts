import { writeSync } from "node:fs";
import { openStore } from "../../src/store/store.ts";
import { sampleOperatorBan } from "../support/samples.ts";

// Writes bans 0, 1, 2, ... in order, eight waiting at a time, and prints each number once its write is acknowledged; until it is killed.
const [, , stateDirectory = ""] = process.argv;
const store = openStore({ stateDirectory });
let next = 0;

async function writeForever(): Promise<never> {
  for (;;) {
    const number = next;
    next += 1;
    await store.transact((change) => change.putOperatorBan(sampleOperatorBan({ address: `ban-${number}` })));
    writeSync(1, `${number}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, writeForever));
