import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { firstListsOf } from "../../../src/netfilter/iptables/first-lists.ts";
import { parseSavedTable } from "../../../src/netfilter/iptables/saved-table.ts";
import { diffTable } from "../../../src/netfilter/iptables/table-diff.ts";
import { samplePolicy } from "../../support/samples.ts";
import { createHost, desire } from "../host.ts";
import { createRules, kernels } from "./rules.ts";

const many = Array.from({ length: 200 }, (_, n) => samplePolicy({ name: `policy-${n}`, ports: [1024 + n] }));
const emptyTable = parseSavedTable("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n");

for (const kernel of kernels) {
  const { family } = kernel;
  const { compile, where } = createRules(kernel);

  describe(`${where}, where a whole table is made`, () => {
    test("the lists that are looked up most are made first, by rules that do nothing and that nothing leads to", () => {
      const lines = firstListsOf(diffTable(emptyTable, compile(many), family).lines, family);
      const [begin, chain, rule = "", other, activity = "", end, ...more] = lines;
      assert.deepEqual([begin, chain, other, end], ["*filter", ":CLD-INPUT - [0:0]", ":CLD-CANARY - [0:0]", "COMMIT"]);
      assert.deepEqual(more, []);
      const words = (list: string): string => `-m recent --rcheck --name cld${family}-${list} --mask \\S+ --rsource -m comment`;
      assert.match(rule, new RegExp(`^-A CLD-INPUT ${words("operator")}`));
      assert.match(activity, new RegExp(`^-A CLD-CANARY ${words("activity")}`));
      for (const one of [rule, activity]) assert.doesNotMatch(one, / -[jg] /);
    });

    test("a few lists are made with the table", () => {
      assert.deepEqual(firstListsOf(diffTable(emptyTable, compile(many.slice(0, 10)), family).lines, family), []);
    });
  });
}

test("where tables with many policies are made anew, both families make those lists before those of the policies", async () => {
  const host = createHost({ withSets: true });
  await host.firewall.converge(desire(many, []));
  const [one, other, ...whole] = host.kernel.restores();
  for (const text of [one, other])
    assert.match(text ?? "", /^\*filter\n:CLD-INPUT .*\n-A CLD-INPUT .*\n:CLD-CANARY .*\n-A CLD-CANARY .*\nCOMMIT\n$/);
  assert.equal(whole.length, 2);
  const restores = host.kernel.restores().length;
  await host.firewall.converge(desire(many.slice(1), []));
  assert.equal(host.kernel.restores().length, restores + 2);
});
