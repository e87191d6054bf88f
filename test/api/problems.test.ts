import assert from "node:assert/strict";
import { test } from "node:test";
import { pino } from "pino";
import { problemPage } from "../../src/api/problems/page.ts";
import { isProblemSlug, problemTypes } from "../../src/api/problems/problem-types.ts";
import { DomainError } from "../../src/domain/errors.ts";
import { assertProblem, startApi } from "./service.ts";

const policy = { ports: [3306], maxConnections: 2 };

test("every problem type has a page with its meaning and its remedies", async (t) => {
  const api = await startApi(t);
  for (const slug of Object.keys(problemTypes).filter(isProblemSlug)) {
    const { status, headers, body } = await api.send("GET", `/problems/${slug}`);
    assert.equal(status, 200);
    assert.equal(headers["content-type"], "text/html; charset=utf-8");
    assert.match(String(headers["content-security-policy"]), /^default-src 'none'; /);
    assert.equal(body, problemPage(slug, problemTypes[slug]));
    assert.match(String(body), new RegExp(`<h1>${problemTypes[slug].title}</h1>`));
    assert.ok(problemTypes[slug].remedies.length > 0);
  }
  assertProblem(await api.send("GET", "/problems/none"), 404, "not-found");
  assertProblem(await api.send("GET", "/problems/__proto__"), 404, "not-found");
});

test("a page shows text as text", () => {
  const page = problemPage("x", { status: 400, title: '<b>&"', explanation: "e", remedies: ["<token>"], example: "" });
  assert.match(page, /<h1>&lt;b&gt;&amp;&quot;<\/h1>/);
  assert.match(page, /<li>&lt;token&gt;<\/li>/);
});

test("an unexpected error is 500 that tells nothing of it, and the log tells all", async (t) => {
  const lines: string[] = [];
  const api = await startApi(t, { logger: pino({}, { write: (line: string) => lines.push(line) }) });
  api.firewall.failChecks(new Error("/var/lib/secret is broken"));
  const answer = await api.send("PUT", "/v1/policies/mysql", policy);
  assertProblem(answer, 500, "internal");
  assert.ok(!JSON.stringify(answer.body).includes("secret"));
  assert.equal(answer.headers["connlimitd-changed"], undefined, "nobody knows");
  const logged = lines.find((line) => line.includes("/var/lib/secret is broken")) ?? "";
  const id = /urn:uuid:([0-9a-f-]{36})/.exec(JSON.stringify(answer.body))?.[1] ?? "none";
  assert.ok(logged.includes(id), "under the same id");
});

test("what is not ready says when to try again", async (t) => {
  const api = await startApi(t);
  api.firewall.failChecks(new DomainError("not-ready", "The store is being opened."));
  const answer = await api.send("PUT", "/v1/policies/mysql", policy);
  assertProblem(answer, 503, "not-ready");
  assert.match(String(answer.headers["retry-after"]), /^[1-9][0-9]*$/);
});

test("a disk that takes no change says which file, why, and when to try again, and that nothing changed", async (t) => {
  const api = await startApi(t);
  api.firewall.failChecks(
    new DomainError("store-unwritable", "/var/lib/connlimitd/state.db can't be written: the disk is full."),
  );
  const answer = await api.send("PUT", "/v1/policies/mysql", policy);
  assertProblem(answer, 503, "store-unwritable");
  assert.partialDeepStrictEqual(answer.body, { detail: "/var/lib/connlimitd/state.db can't be written: the disk is full." });
  assert.match(String(answer.headers["retry-after"]), /^[1-9][0-9]*$/);
  assert.equal(answer.headers["connlimitd-changed"], "false");
});

test("alive is always 200; ready says what it waits for", async (t) => {
  const api = await startApi(t);
  const ready = await api.send("GET", "/readyz");
  assert.equal(ready.status, 200);
  assert.deepEqual(ready.body, { status: "ready" });
  api.setReadiness({ ready: false, reason: "iptables is missing." });
  const waiting = await api.send("GET", "/readyz");
  assertProblem(waiting, 503, "not-ready");
  assert.partialDeepStrictEqual(waiting.body, { detail: "iptables is missing." });
  assert.match(String(waiting.headers["retry-after"]), /^[1-9][0-9]*$/);
  const alive = await api.send("GET", "/livez?probe=1");
  assert.equal(alive.status, 200);
  assert.deepEqual(alive.body, { status: "alive" });
});
