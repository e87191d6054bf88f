import assert from "node:assert/strict";
import { Check, Errors } from "typebox/schema";
import { isRecord } from "../../src/api/requests/schema-words.ts";

/** An answer, read. `body` is the parsed JSON, or the text of anything else. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: unknown;
}

/** Fails unless the OpenAPI document has this answer of the operation: its status, its media type, its body, and each header it names. */
export function assertDocumented(document: object, method: string, url: string, answer: Answer): void {
  const operation = findOperation(document, method, url);
  if (operation === undefined) return;
  const where = `${method} ${url} -> ${answer.status}`;
  const response = member(operation, "responses", String(answer.status));
  assert.ok(isRecord(response), `${where}: the status is documented`);
  const mediaType = String(answer.headers["content-type"] ?? "").replace(/;.*/, "");
  if (mediaType === "") {
    assert.equal(response["content"], undefined, `${where}: no body is documented`);
  } else {
    const schema = member(response, "content", mediaType, "schema");
    assert.ok(isRecord(schema), `${where}: ${mediaType} is documented`);
    const whole = { ...schema, components: member(document, "components") };
    if (!Check(whole, answer.body)) assert.fail(`${where}: ${JSON.stringify(Errors(whole, answer.body)[1])}`);
  }
  assertHeaders(response, answer, where);
}

function assertHeaders(response: object, { status, headers, body }: Answer, where: string): void {
  const documented = Object.keys(member(response, "headers") ?? {}).map((name) => name.toLowerCase());
  // A write that waits for the kernel may be one that creates; only then it has a location. A dry run answers no resource, so that it has no version.
  const isDryRun = isRecord(body) && body["dryRun"] === true;
  const expected = documented.filter((name) => (name !== "location" || status === 201) && (name !== "etag" || !isDryRun));
  for (const name of expected) assert.notEqual(headers[name], undefined, `${where}: has the documented header ${name}`);
}

function findOperation(document: object, method: string, url: string): object | undefined {
  const path = url.replace(/[?#].*/, "");
  for (const [template, operations] of Object.entries(member(document, "paths") ?? {})) {
    const pattern = new RegExp(`^${template.replace(/\{[a-z]+\}/g, "[^/]+")}$`);
    const operation = pattern.test(path) && isRecord(operations) ? operations[method.toLowerCase()] : undefined;
    if (isRecord(operation)) return operation;
  }
  return undefined;
}

function member(value: object, ...names: readonly string[]): object | undefined {
  let current: unknown = value;
  for (const name of names) current = isRecord(current) ? current[name] : undefined;
  return isRecord(current) ? current : undefined;
}
