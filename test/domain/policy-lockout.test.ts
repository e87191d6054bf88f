import assert from "node:assert/strict";
import { test } from "node:test";
import { banDefaults, type PolicySpec } from "../../src/domain/policy.ts";
import { EnforcementDelayed } from "../../src/domain/ports.ts";
import { samplePolicySpec } from "../support/samples.ts";
import { createTestServices, insistingTerms, sampleTerms } from "../support/test-services.ts";

const terms = sampleTerms();
const host = { ...banDefaults, seconds: 60 };
const ports = { ...host, scope: "ports" } as const;
const [caller, sshClient, gateway, own] = ["172.16.0.99", "172.16.0.200", "172.16.0.1", "172.16.0.10"];

for (const [what, source, port, spec, isRefused] of [
  ["its caller from everything", caller, 3306, { ban: host }, true],
  ["an SSH client from everything", sshClient, 3306, { ban: host }, true],
  ["a gateway from everything", gateway, 3306, { ban: host }, true],
  ["this host from everything", own, 3306, { ban: host }, true],
  ["its caller from other ports only", caller, 3306, { ban: ports }, false],
  ["its caller from other ports only, and only beyond the limit", caller, 3306, {}, false],
  ["its caller from the API's port", caller, 7306, { ports: [80, 7306], ban: ports }, true],
  ["its caller's further connections to the API's port", caller, 7306, { ports: [7306] }, true],
  ["an SSH client from the SSH port", sshClient, 22, { ports: [22, 3306], ban: ports }, true],
  ["an SSH client's further connections to the SSH port", sshClient, 22, { ports: [22] }, true],
  ["an SSH client from the API's port", sshClient, 7306, { ports: [7306], ban: ports }, false],
  ["its caller from the SSH port", caller, 22, { ports: [22], ban: ports }, false],
  ["somebody else", "203.0.113.9", 3306, { ban: host }, false],
  ["its caller, if it did not only observe,", caller, 3306, { ban: host, mode: "observe" }, false],
  ["its caller, if it were not off,", caller, 3306, { ban: host, mode: "off" }, false],
  ["its caller, who is exempt,", caller, 3306, { ban: host, exempt: ["172.16.0.99"] }, false],
  ["its caller, who holds no more than the limit,", caller, 3306, { ban: host, maxConnections: 3 }, false],
] satisfies readonly (readonly [string, string, number, Partial<PolicySpec>, boolean])[]) {
  test(`a policy that would shut out ${what} is ${isRefused ? "refused" : "taken"}`, async (t) => {
    const { store, connections, policies } = createTestServices(t);
    connections.open(source, port, 3);
    const write = () => policies.put("web", samplePolicySpec(spec), {}, terms);
    const rehearsal = () => policies.foresee.put("web", samplePolicySpec(spec), {}, terms);
    if (isRefused) {
      const refused = { code: "lockout", message: new RegExp(`would shut out ${source}, .*count 3 open connections.*allows 2`) };
      await assert.rejects(rehearsal(), refused);
      await assert.rejects(write(), refused);
      assert.deepEqual(store.policies(), []);
    } else {
      assert.equal((await rehearsal()).changed, true);
      assert.equal((await write()).changed, true);
    }
  });
}

test("the guard counts as the policy does: the whole prefix, over all ports, without those it spares", async (t) => {
  const { connections, policies } = createTestServices(t);
  connections.open("172.16.0.7", 80, 1);
  connections.open("172.16.0.8", 443, 2);
  const spec = samplePolicySpec({ ports: [80, 443], ban: host });
  await policies.put("web", spec, {}, terms);
  const wide = { ...spec, countPer: { ipv4Prefix: 24, ipv6Prefix: 64 } };
  await assert.rejects(policies.put("web", wide, {}, terms), { code: "lockout" });
  await policies.put("web", { ...wide, exempt: ["172.16.0.8"] }, {}, terms);
  await assert.rejects(
    policies.edit("web", (current) => ({ ...current, exempt: [] }), {}, terms),
    { code: "lockout" },
  );
});

test("a limit of 1 on the API's own port is refused to who comes over TCP, unless they are exempt", async (t) => {
  const { policies } = createTestServices(t);
  const spec = samplePolicySpec({ ports: [80, 7306], maxConnections: 1 });
  const refused = {
    code: "lockout",
    message: /A limit of 1 on port 7306, where this service listens, would shut out 172\.16\.0\.99/,
  };
  await assert.rejects(policies.create("web", spec, terms), refused);
  await assert.rejects(policies.foresee.create("web", spec, terms), refused);
  await policies.put("web", { ...spec, exempt: ["172.16.0.0/24"] }, {}, terms);
  await policies.put("web", spec, {}, sampleTerms({ caller: { address: null } }));
  await policies.put("web-2", { ...spec, ports: [80] }, {}, terms);
});

test("protected addresses are never counted, hence never shut out by a policy", async (t) => {
  const { connections, policies } = createTestServices(t);
  connections.open("127.0.0.1", 3306, 9);
  await policies.put("mysql", samplePolicySpec({ ban: host }), {}, sampleTerms({ caller: { address: "127.0.0.1" } }));
});

test("allowLockout overrides the guard for an administrator, and needs the scope", async (t) => {
  const { store, connections, policies } = createTestServices(t);
  connections.open(caller, 3306, 3);
  const spec = samplePolicySpec({ ban: host });
  const forbidden = { code: "insufficient-scope" };
  const daring = sampleTerms({ allowLockout: true });
  await assert.rejects(policies.create("mysql", spec, daring), forbidden);
  await assert.rejects(
    policies.edit("mysql", () => spec, {}, daring),
    forbidden,
  );
  await assert.rejects(policies.remove("mysql", {}, daring), forbidden);
  await assert.rejects(policies.foresee.put("mysql", spec, {}, daring), forbidden);
  assert.deepEqual(store.policies(), []);
  const { warnings } = await policies.foresee.put("mysql", spec, {}, insistingTerms());
  assert.match(warnings.join(), /^allowLockout overrides this: The policy would shut out 172\.16\.0\.99/);
  await policies.put("mysql", spec, {}, insistingTerms());
});

test("while it can't be told who would be shut out, a policy needs the override", async (t) => {
  const { store, connections, policies, surroundings } = createTestServices(t);
  const notReady = { code: "not-ready", message: /conntrack can't be read/ };
  surroundings.fail(new EnforcementDelayed("conntrack can't be read"));
  await assert.rejects(policies.put("mysql", samplePolicySpec(), {}, terms), notReady);
  await policies.put("mysql", samplePolicySpec(), {}, insistingTerms());
  await policies.put("mysql", samplePolicySpec({ mode: "observe" }), {}, terms);
  await policies.remove("mysql", {}, terms);
  surroundings.fail(undefined);
  connections.fail(new EnforcementDelayed("conntrack can't be read"));
  await policies.put("mysql", samplePolicySpec({ ban: ports }), {}, terms);
  await assert.rejects(policies.put("mysql", samplePolicySpec({ ban: host }), {}, terms), notReady);
  await policies.put("mysql", samplePolicySpec({ ban: host }), {}, insistingTerms());
  assert.equal(store.policies().length, 1);
});
