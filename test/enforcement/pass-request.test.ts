import assert from "node:assert/strict";
import { test } from "node:test";
import { emptyRequest, mergeInto, type Waiter, widen } from "../../src/enforcement/pass-request.ts";

test("a request gets wider and never narrower", () => {
  const request = emptyRequest();
  for (const [scope, expected] of [
    ["bans", "bans"],
    ["fresh-bans", "fresh-bans"],
    ["bans", "fresh-bans"],
    ["rules", "rules"],
    ["fresh-bans", "rules"],
  ] as const) {
    widen(request, scope);
    assert.equal(request.scope, expected);
  }
});

test("a request that failed is made again together with those that came meanwhile", () => {
  const waiter = (): Waiter => ({ settled: () => undefined, rules: false });
  const [failed, target] = [emptyRequest(), emptyRequest()];
  const [earlier, later] = [waiter(), waiter()];
  failed.waiters.add(earlier);
  target.waiters.add(later);
  Object.assign(failed, { asked: true, scope: "rules" });
  mergeInto(target, failed);
  assert.deepEqual(
    [target.asked, target.scope, target.waiters.has(earlier), target.waiters.has(later)],
    [true, "rules", true, true],
  );
  mergeInto(target, emptyRequest());
  assert.equal(target.asked, true);
});
