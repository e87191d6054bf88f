import assert from "node:assert/strict";
import { test } from "node:test";
import { assertProblem, startApi } from "./service.ts";

const policy = { ports: [3306], maxConnections: 2 };
const port = "must be an integer from 1 to 65535";
const ports = "must be an array of 1 to 15 different items, each an integer from 1 to 65535";
const name = /must be a name of 1 to 20 lower-case letters, digits and hyphens/;
const text = "must be text of at most 200 characters without control characters";

interface Refusal {
  readonly what: string;
  readonly body: object;
  readonly pointers: readonly string[];
  readonly says: string | RegExp;
}

const policyRefusals: readonly Refusal[] = [
  {
    what: "an unknown field",
    body: { ...policy, limit: 2 },
    pointers: ["/limit"],
    says: /^is not a known field; known are name, description,/,
  },
  {
    what: "an unknown field inside",
    body: { ...policy, ban: { seconds: 60, "a/b~c": 1 } },
    pointers: ["/ban/a~1b~0c"],
    says: /known are seconds/,
  },
  {
    what: "__proto__",
    body: JSON.parse('{"ports": [1], "maxConnections": 1, "__proto__": {"mode": "off"}}'),
    pointers: ["/__proto__"],
    says: /not a known field/,
  },
  {
    what: "constructor",
    body: { ...policy, constructor: { prototype: {} } },
    pointers: ["/constructor"],
    says: /not a known field/,
  },
  { what: "a read-only field", body: { ...policy, revision: 3 }, pointers: ["/revision"], says: "is read-only; leave it out" },
  {
    what: "a missing field",
    body: { ports: [3306] },
    pointers: ["/maxConnections"],
    says: "is required and must be an integer from 1 to 1000000",
  },
  {
    what: "a number as a string",
    body: { ...policy, maxConnections: "5" },
    pointers: ["/maxConnections"],
    says: "must be an integer from 1 to 1000000",
  },
  {
    what: "a fraction",
    body: { ...policy, maxConnections: 2.5 },
    pointers: ["/maxConnections"],
    says: "must be an integer from 1 to 1000000",
  },
  {
    what: "null for a number",
    body: { ...policy, maxConnections: null },
    pointers: ["/maxConnections"],
    says: "must be an integer from 1 to 1000000",
  },
  {
    what: "no connection at all",
    body: { ...policy, maxConnections: 0 },
    pointers: ["/maxConnections"],
    says: "must be an integer from 1 to 1000000",
  },
  {
    what: "too many connections",
    body: { ...policy, maxConnections: 1_000_001 },
    pointers: ["/maxConnections"],
    says: "must be an integer from 1 to 1000000",
  },
  { what: "port 0", body: { ...policy, ports: [0] }, pointers: ["/ports/0"], says: port },
  { what: "port 65536", body: { ...policy, ports: [80, 65_536] }, pointers: ["/ports/1"], says: port },
  { what: "a port as a string", body: { ...policy, ports: ["3306"] }, pointers: ["/ports/0"], says: port },
  { what: "a port without its array", body: { ...policy, ports: 3306 }, pointers: ["/ports"], says: ports },
  { what: "no port", body: { ...policy, ports: [] }, pointers: ["/ports"], says: ports },
  {
    what: "16 ports",
    body: { ...policy, ports: Array.from({ length: 16 }, (_, index) => index + 1) },
    pointers: ["/ports"],
    says: ports,
  },
  {
    what: "a port twice",
    body: { ...policy, ports: [80, 443, 80] },
    pointers: ["/ports/2"],
    says: "must differ from the others; it repeats /ports/0",
  },
  { what: "a ban that is no object", body: { ...policy, ban: 60 }, pointers: ["/ban"], says: "must be an object or null" },
  {
    what: "a ban without its length",
    body: { ...policy, ban: {} },
    pointers: ["/ban/seconds"],
    says: "is required and must be an integer from 1 to 4294967",
  },
  {
    what: "a ban that is too long",
    body: { ...policy, ban: { seconds: 4_294_968 } },
    pointers: ["/ban/seconds"],
    says: "must be an integer from 1 to 4294967",
  },
  {
    what: "another scope",
    body: { ...policy, ban: { seconds: 1, scope: "all" } },
    pointers: ["/ban/scope"],
    says: 'must be "host" or "ports"',
  },
  {
    what: "a word for a boolean",
    body: { ...policy, ban: { seconds: 1, renewOnAttempt: "yes" } },
    pointers: ["/ban/renewOnAttempt"],
    says: "must be true or false",
  },
  {
    what: "a wide IPv4 prefix",
    body: { ...policy, countPer: { ipv4Prefix: 7 } },
    pointers: ["/countPer/ipv4Prefix"],
    says: "must be an integer from 8 to 32",
  },
  {
    what: "a long IPv6 prefix",
    body: { ...policy, countPer: { ipv6Prefix: 129 } },
    pointers: ["/countPer/ipv6Prefix"],
    says: "must be an integer from 16 to 128",
  },
  { what: "another protocol", body: { ...policy, protocol: "udp" }, pointers: ["/protocol"], says: 'must be "tcp"' },
  {
    what: "another rejection",
    body: { ...policy, rejectWith: "DROP" },
    pointers: ["/rejectWith"],
    says: 'must be "tcp-reset", "icmp-port-unreachable" or "drop"',
  },
  { what: "another mode", body: { ...policy, mode: "on" }, pointers: ["/mode"], says: 'must be "enforce", "observe" or "off"' },
  { what: "a long description", body: { ...policy, description: "x".repeat(201) }, pointers: ["/description"], says: text },
  {
    what: "host bits in an exemption",
    body: { ...policy, exempt: ["10.0.0.1/24"] },
    pointers: ["/exempt/0"],
    says: /10\.0\.0\.0\/24/,
  },
  {
    what: "an exemption that is not canonical",
    body: { ...policy, exempt: ["10.0.0.0/8", "2001:DB8::"] },
    pointers: ["/exempt/1"],
    says: /2001:db8::/,
  },
  {
    what: "65 exemptions",
    body: { ...policy, exempt: Array.from({ length: 65 }, (_, index) => `10.0.0.${index}`) },
    pointers: ["/exempt"],
    says: /0 to 64/,
  },
];

for (const { what, body, pointers, says } of policyRefusals) {
  test(`a policy with ${what} is refused by PUT and POST, and nothing is stored`, async (t) => {
    const api = await startApi(t);
    for (const answer of [
      await api.send("PUT", "/v1/policies/mysql", body),
      await api.send("POST", "/v1/policies", { name: "mysql", ...body }),
    ]) {
      const [message = ""] = assertProblem(answer, 400, "invalid-input", pointers);
      if (typeof says === "string") assert.equal(message, says);
      else assert.match(message, says);
      assert.partialDeepStrictEqual(answer.body, { detail: `${pointers[0]}: ${message}.` });
      assert.equal(answer.headers["connlimitd-changed"], "false");
    }
    assert.equal(api.store.revision(), 0);
    assert.equal(api.firewall.checks.length, 0);
  });
}

test("every wrong field is named at once", async (t) => {
  const api = await startApi(t);
  const body = { ports: [0, "80"], maxConnections: "many", ban: { seconds: 0 }, extra: 1, enforcement: {} };
  const answer = await api.send("PUT", "/v1/policies/mysql", body);
  const pointers = ["/extra", "/enforcement", "/ports/0", "/ports/1", "/maxConnections", "/ban/seconds"];
  assertProblem(answer, 400, "invalid-input", pointers);
});

test("a body with thousands of wrong fields is answered with the first hundred and the number of the others", async (t) => {
  const api = await startApi(t);
  const answer = await api.send("PUT", "/v1/policies/mysql", { ...policy, ports: Array.from({ length: 20_000 }, () => 0) });
  assert.equal(
    assertProblem(answer, 400, "invalid-input", ["/ports", ...Array.from({ length: 99 }, (_, index) => `/ports/${index}`)])
      .length,
    100,
  );
  assert.match(JSON.stringify(answer.body), /`errors` lists 100\. 19902 more faults are not listed\./);
});

for (const [what, path] of [
  ["a slash", "my%2Fsql"],
  ["a newline", "mysql%0A"],
  ["21 characters", "a".repeat(21)],
  ["300 characters", "a".repeat(300)],
  ["an upper-case letter", "MySQL"],
  ["a digit in front", "1mysql"],
  ["an option's dash in front", "-j"],
] as const) {
  test(`a name with ${what} is refused by every route`, async (t) => {
    const api = await startApi(t);
    for (const method of ["GET", "PUT", "PATCH", "DELETE"] as const) {
      const body = method === "PUT" || method === "PATCH" ? policy : undefined;
      const [message = ""] = assertProblem(await api.send(method, `/v1/policies/${path}`, body), 400, "invalid-input", ["name"]);
      assert.match(message, name);
    }
    assertProblem(await api.send("GET", `/v1/policies/${path}/offenders`), 400, "invalid-input", ["name"]);
    const [message = ""] = assertProblem(
      await api.send("POST", "/v1/policies", { ...policy, name: decodeURIComponent(path) }),
      400,
      "invalid-input",
      ["/name"],
    );
    assert.match(message, name);
    assert.equal(api.store.revision(), 0);
  });
}
