import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Policy } from "../../src/domain/policy.ts";
import type { Desired } from "../../src/domain/ports.ts";
import { createJointCheck } from "../../src/netfilter/joint-check.ts";
import { samplePolicy } from "../support/samples.ts";

const [mysql, ssh, web] = ["mysql", "ssh", "web"].map((name) => samplePolicy({ name })) as [Policy, Policy, Policy];

describe("checks that are asked for at the same time", () => {
  it("are one, about all the changes", async () => {
    const { check, asked } = kernel([mysql]);
    await Promise.all([check(desired(mysql, ssh)), check(desired(mysql, web)), check(desired())]);
    assert.deepEqual(asked, ["ssh web"]);
  });

  it("are one too where they come in one turn after the other, but not without an end", async () => {
    const { check, asked } = kernel([]);
    const names = Array.from({ length: 60 }, (_, n) => `p${n}`);
    const answers: Promise<void>[] = [];
    for (const name of names) {
      answers.push(check(desired(samplePolicy({ name }))));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(answers);
    assert.equal(asked.length, 2);
    assert.deepEqual(new Set(asked.flatMap((together) => together.split(" "))), new Set(names));
  });

  it("are asked alone where they are about the same policy", async () => {
    const { check, asked } = kernel([]);
    await Promise.all([check(desired(mysql)), check(desired({ ...mysql, maxConnections: 9 }, ssh)), check(desired(web))]);
    assert.deepEqual(asked, ["mysql web", "mysql ssh"]);
  });

  it("are each answered for themselves where the kernel refuses them together", async () => {
    const { check, asked } = kernel([], ["ssh"]);
    const outcomes = await Promise.allSettled([check(desired(mysql)), check(desired(ssh)), check(desired(web))]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.deepEqual(asked, ["mysql ssh web", "mysql", "ssh", "web"]);
  });

  it("are asked alone where policies are withheld, as the others want them", async () => {
    const { check, asked } = kernel([]);
    await Promise.all([check({ ...desired(mysql, ssh), withheld: new Set(["ssh"]) }), check(desired(web))]);
    assert.deepEqual(asked, ["mysql ssh", "web"]);
  });

  it("leave later ones their turn after a refusal", async () => {
    const { check } = kernel([], ["ssh"]);
    await assert.rejects(check(desired(ssh)), /ssh is refused/);
    await check(desired(web));
  });
});

/** A kernel with some policies that refuses those of some names. */
function kernel(present: readonly Policy[], refused: readonly string[] = []) {
  const asked: string[] = [];
  const check = createJointCheck(
    async ({ policies }) => {
      const names = policies.map(({ name }) => name);
      asked.push(names.join(" "));
      const bad = names.find((name) => refused.includes(name));
      if (bad !== undefined) throw new Error(`${bad} is refused`);
    },
    () => present,
  );
  return { check, asked };
}

function desired(...policies: readonly Policy[]): Desired {
  return { policies, operatorBans: [], lifts: [], graces: [] };
}
