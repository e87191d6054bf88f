import assert from "node:assert/strict";
import { test } from "node:test";
import { buildLazyValidators } from "../../../src/api/requests/lazy-validators.ts";

interface Validator {
  (data: unknown): unknown;
  errors?: readonly { readonly message?: string }[] | null;
}

/** What a server asks of a route; `made` counts the instances of Ajv. */
function createStage() {
  let made = 0;
  const options = { customOptions: { coerceTypes: false }, onCreate: () => (made += 1) } as const;
  const compilers = [buildLazyValidators({}, options), buildLazyValidators({}, options)] as const;
  const validatorOf = (schema: object, httpPart = "querystring", compile = compilers[0]) =>
    compile({ method: "GET", url: "/", httpPart, schema }) as Validator;
  return { compilers, validatorOf, made: () => made };
}

test("a validator is made at its first use, and tells the errors of its latest", () => {
  const { validatorOf, made } = createStage();
  const port = validatorOf({ type: "integer" });
  const name = validatorOf({ type: "string" });
  assert.equal(made(), 0);
  assert.equal(port("5"), false);
  assert.deepEqual(
    port.errors?.map(({ message }) => message),
    ["must be integer"],
  );
  assert.equal(name("web"), true);
  assert.equal(port(5), true);
  assert.equal(port.errors, null);
});

test("all parts of a server share one Ajv", () => {
  const { compilers, validatorOf, made } = createStage();
  const before = made();
  for (const compile of compilers) assert.equal(validatorOf({ type: "integer" }, "body", compile)(5), true);
  assert.ok(made() - before <= 1, `${made() - before} were made`);
});

test("the schema of a header holds however the header's name is written in it", () => {
  const { validatorOf } = createStage();
  const schema = { type: "object", properties: { "If-Match": { type: "string", minLength: 3 } }, required: ["If-Match"] };
  const headers = validatorOf(schema, "headers");
  assert.equal(headers({ "if-match": "abc" }), true);
  assert.equal(headers({ "if-match": "x" }), false);
  assert.equal(headers({}), false);
});
