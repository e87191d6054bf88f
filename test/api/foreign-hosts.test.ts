import assert from "node:assert/strict";
import { test } from "node:test";
import { admit, createAdminAccess } from "../../src/api/access/access.ts";
import { ApiProblem } from "../../src/api/problems/problem.ts";
import { adminToken } from "./service.ts";

const access = createAdminAccess(adminToken);
const hosts = new Set(["127.0.0.1", "localhost", "::1", "fw.example.org"]);

function visit(host: string, isPublic = false) {
  const headers = { host, authorization: `Bearer ${adminToken}` };
  return { method: "GET", route: "/v1/bans", isPublic, headers };
}

for (const host of ["127.0.0.1", "127.0.0.1:7306", "LOCALHOST:7306", "[::1]:7306", "fw.example.org"]) {
  test(`a request for the host ${host} is let in`, () => {
    assert.equal(admit(visit(host), { transport: "tcp", hosts }, access).actor, "admin");
  });
}

for (const host of ["evil.example", "127.0.0.1.evil.example", "[::2]:7306", ""]) {
  for (const isPublic of [false, true]) {
    test(`a request for the host "${host}" on a ${isPublic ? "public" : "protected"} route is refused, with a good token too`, () => {
      assert.throws(
        () => admit(visit(host, isPublic), { transport: "tcp", hosts }, access),
        (error) => error instanceof ApiProblem && error.slug === "forbidden",
      );
    });
  }
}

test("over a unix socket any host will do, as no web page can reach it", () => {
  assert.equal(admit(visit("evil.example"), { transport: "unix", hosts: null }, access).actor, "socket");
});
