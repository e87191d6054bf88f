import assert from "node:assert/strict";
import { test } from "node:test";
import { buildLazyValidators } from "../../../src/api/requests/lazy-validators.ts";

interface Validator {
  (data: unknown): unknown;
  errors?: readonly { readonly message?: string }[] | null;
}

test("a validator is made at its first use, and tells the errors of its latest", () => {
  let made = 0;
  const compile = buildLazyValidators({}, { customOptions: { coerceTypes: false }, onCreate: () => (made += 1) });
  const route = { method: "GET", url: "/", httpPart: "querystring" };
  const port = compile({ ...route, schema: { type: "integer" } }) as Validator;
  const name = compile({ ...route, schema: { type: "string" } }) as Validator;
  assert.equal(made, 0);
  assert.equal(port("5"), false);
  assert.deepEqual(
    port.errors?.map(({ message }) => message),
    ["must be integer"],
  );
  assert.equal(name("web"), true);
  assert.equal(port(5), true);
  assert.equal(port.errors, null);
  assert.equal(made, 1);
});
