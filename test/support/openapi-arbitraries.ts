// Requests made from an OpenAPI document: good ones, nearly good ones, and nonsense.
import fc from "fast-check";
import { isRecord } from "../../src/api/requests/schema-words.ts";
import { hostileString } from "./hostile-strings.ts";

/** A request to one operation of the document. */
export interface FuzzRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload?: string;
}

type Schema = Readonly<Record<string, unknown>>;

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;
/** Few, so that requests meet what others made. */
const names = fc.constantFrom("web", "mysql", "a", "b-2", "nobody");
const addresses = fc.oneof(
  fc.constantFrom("203.0.113.9", "203.0.113.0/24", "2001:db8::1", "2001:db8:1::/48", "10.0.0.0/8", "0.0.0.0/0", "127.0.0.1"),
  fc.ipV4(),
  fc.ipV6(),
  fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 33 })).map(([address, prefix]) => `${address}/${prefix}`),
);
const nonsense = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  hostileString,
  fc.constantFrom(null, -1, 0, 1e300, 2 ** 53, 1.5, "", [], {}),
);

/** Requests to every operation of the document, each as often as any other. */
export function requestsOf(document: object): fc.Arbitrary<FuzzRequest> {
  const operations = Object.entries(recordAt(document, "paths")).flatMap(([path, item]) =>
    methods.flatMap((method) => {
      const operation = isRecord(item) ? item[method.toLowerCase()] : undefined;
      return isRecord(operation) ? [operationRequests(document, method, path, operation)] : [];
    }),
  );
  return fc.oneof(...operations);
}

function operationRequests(
  document: object,
  method: FuzzRequest["method"],
  path: string,
  operation: Schema,
): fc.Arbitrary<FuzzRequest> {
  const parameters = Array.isArray(operation["parameters"]) ? operation["parameters"].filter(isRecord) : [];
  const valuesOf = (place: string) => {
    const some = parameters.filter((parameter) => parameter["in"] === place);
    const all = fc.record(
      Object.fromEntries(
        some.map((parameter) => [String(parameter["name"]), text(valuesFor(document, recordAt(parameter, "schema")))]),
      ),
      { requiredKeys: some.filter((parameter) => parameter["required"] === true).map((parameter) => String(parameter["name"])) },
    );
    // Optional ones together are seldom good.
    return place === "path" ? all : fc.oneof({ weight: 3, arbitrary: fc.constant<Partial<Record<string, string>>>({}) }, all);
  };
  const [mediaType, content] = Object.entries(recordAt(operation, "requestBody", "content"))[0] ?? [];
  const body = isRecord(content) ? bodyText(valuesFor(document, recordAt(content, "schema"))) : rarely(hostileString);
  return fc
    .record({
      path: valuesOf("path"),
      query: fc.oneof(
        { weight: 6, arbitrary: valuesOf("query") },
        fc.dictionary(fc.constantFrom("limit", "cursor", "dryRun", "x"), hostileString),
      ),
      headers: valuesOf("header"),
      type: fc.oneof(
        { weight: 20, arbitrary: fc.constant(mediaType) },
        fc.constantFrom("text/plain", "application/json; charset=x", ""),
      ),
      body,
    })
    .map((parts) => {
      const query = Object.entries(parts.query).map(([name, value]) => `${name}=${encoded(value ?? "")}`);
      const target = path.replaceAll(/\{([a-z]+)\}/gi, (_, name: string) => segment(parts.path[name] ?? ""));
      return {
        method,
        url: query.length === 0 ? target : `${target}?${query.join("&")}`,
        headers: {
          ...Object.fromEntries(
            Object.entries(parts.headers).map(([name, value]) => [name.toLowerCase(), headerText(value ?? "")]),
          ),
          ...(parts.body === undefined || parts.type === undefined || parts.type === "" ? {} : { "content-type": parts.type }),
        },
        ...(parts.body === undefined ? {} : { payload: parts.body }),
      };
    });
}

/** JSON of a good value, of one with something wrong in it, or no JSON at all. */
function bodyText(good: fc.Arbitrary<unknown>): fc.Arbitrary<string | undefined> {
  const broken = fc.tuple(good, fc.nat(), nonsense, fc.constantFrom("replace", "remove", "add"));
  return fc.oneof(
    { weight: 8, arbitrary: good.map((value) => JSON.stringify(value)) },
    { weight: 8, arbitrary: broken.map(([value, at, wrong, how]) => JSON.stringify(damaged(value, at, wrong, how))) },
    { weight: 2, arbitrary: nonsense.map((value) => JSON.stringify(value)) },
    { weight: 2, arbitrary: fc.tuple(good, fc.nat()).map(([value, at]) => cut(JSON.stringify(value), at)) },
    { weight: 1, arbitrary: hostileString.map((value) => value.toWellFormed()) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  );
}

/** A parameter as text: of a good value, or anything. */
function text(good: fc.Arbitrary<unknown>): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 5, arbitrary: good.map((value) => (typeof value === "string" ? value : JSON.stringify(value))) },
    hostileString,
  );
}

function rarely<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, arbitrary);
}

/** Values that a schema of the document takes, as far as the schema tells. */
function valuesFor(document: object, schema: Schema): fc.Arbitrary<unknown> {
  const reference = schema["$ref"];
  if (typeof reference === "string") return valuesFor(document, recordAt(document, ...reference.replace("#/", "").split("/")));
  if ("const" in schema) return fc.constant(schema["const"]);
  if (Array.isArray(schema["enum"])) return fc.constantFrom(...schema["enum"]);
  if (Array.isArray(schema["anyOf"]))
    return fc.oneof(...schema["anyOf"].filter(isRecord).map((each) => valuesFor(document, each)));
  switch (schema["type"]) {
    case "object":
      return objectOf(document, schema);
    case "array":
      return fc.array(valuesFor(document, recordAt(schema, "items")), {
        minLength: Number(schema["minItems"] ?? 0),
        maxLength: Math.min(4, Number(schema["maxItems"] ?? 4)),
      });
    case "integer":
      return fc.integer({ min: Number(schema["minimum"] ?? 0), max: Math.min(Number(schema["maximum"] ?? 100), 2 ** 31 - 1) });
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    default:
      return stringOf(schema);
  }
}

function objectOf(document: object, schema: Schema): fc.Arbitrary<unknown> {
  const properties = Object.entries(recordAt(schema, "properties")).filter((entry): entry is [string, Schema] =>
    isRecord(entry[1]),
  );
  const required = Array.isArray(schema["required"]) ? schema["required"].map(String) : [];
  return fc.record(Object.fromEntries(properties.map(([name, each]) => [name, valuesFor(document, each)])), {
    requiredKeys: required,
  });
}

function stringOf({ title, format, pattern, maxLength }: Schema): fc.Arbitrary<string> {
  if (typeof title === "string" && title.includes("address")) return addresses;
  if (format === "date-time")
    return fc.date({ noInvalidDate: true, min: new Date(0), max: new Date("2099-01-01") }).map((date) => date.toISOString());
  if (typeof pattern === "string" && pattern.includes("a-z0-9-")) return names;
  if (typeof pattern === "string" && pattern.includes("A-Za-z0-9_-"))
    return fc.base64String({ minLength: 4 }).map((base64) => base64.replaceAll(/[+/=]/g, "_"));
  return fc.string({ unit: "grapheme", maxLength: Number(maxLength ?? 20) });
}

/** `value` with something wrong at one of its places. */
function damaged(value: unknown, at: number, wrong: unknown, how: "replace" | "remove" | "add"): unknown {
  if (!isRecord(value) || Object.keys(value).length === 0) return wrong;
  const worse = (member: unknown): unknown => (isRecord(member) ? damaged(member, at >> 3, wrong, how) : wrong);
  if (how === "add") return { ...value, [typeof wrong === "string" ? wrong : "extra"]: wrong };
  const entries = Object.entries(value);
  const chosen = at % entries.length;
  if (how === "remove") return Object.fromEntries(entries.filter((_, index) => index !== chosen));
  return Object.fromEntries(entries.map(([name, each], index) => [name, index === chosen ? worse(each) : each]));
}

function cut(json: string, at: number): string {
  const place = at % Math.max(1, json.length);
  return at % 2 === 0
    ? json.slice(0, place)
    : `${json.slice(0, place)}${String.fromCharCode(33 + (at % 90))}${json.slice(place)}`;
}

/** Clients resolve dots, so that the request would be another one. */
function segment(value: string): string {
  return /^\.{1,2}$/.test(value) ? "dots" : encoded(value);
}

function encoded(value: string): string {
  return encodeURIComponent(value.toWellFormed());
}

/** What a client library lets through (RFC 9110, 5.5). */
function headerText(value: string): string {
  return value.replaceAll(/[^\t\x20-\x7e]/g, "?").trim();
}

function recordAt(value: object, ...path: readonly string[]): Schema {
  let current: unknown = value;
  for (const name of path) current = isRecord(current) ? current[name] : undefined;
  return isRecord(current) ? current : {};
}
