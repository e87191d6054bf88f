import { patternWords } from "../fields.ts";

/** Says in words what a JSON schema takes, as a predicate: "must be an integer from 1 to 65535". */
export function takes(schema: unknown): string {
  return `must be ${noun(schema)}`;
}

/** The fields of an object schema. */
export function propertiesOf(schema: unknown): Readonly<Record<string, unknown>> {
  return isRecord(schema) && isRecord(schema["properties"]) ? schema["properties"] : {};
}

/** The fields that an object schema does not take together: `not: {required: [...]}`. */
export function exclusiveFields(schema: unknown): readonly string[] {
  const forbidden = isRecord(schema) ? schema["not"] : undefined;
  const names = isRecord(forbidden) ? forbidden["required"] : undefined;
  return Array.isArray(names) ? names.map(String) : [];
}

/** True for an object whose members can be looked at. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function noun(schema: unknown): string {
  if (!isRecord(schema)) return "present";
  if ("const" in schema) return JSON.stringify(schema["const"]);
  if (Array.isArray(schema["enum"])) return oneOf(schema["enum"].map((value) => JSON.stringify(value)));
  if (Array.isArray(schema["anyOf"])) return oneOf(schema["anyOf"].map(noun));
  switch (schema["type"]) {
    case "integer":
      return `an integer${range(schema["minimum"], schema["maximum"])}`;
    case "boolean":
      return "true or false";
    case "null":
      return "null";
    case "string":
      return (
        patternWords.get(String(schema["pattern"])) ??
        `a string${typeof schema["title"] === "string" ? ` with an ${schema["title"]}` : ""}`
      );
    case "array":
      return arrayNoun(schema);
    default:
      return "an object";
  }
}

function arrayNoun(schema: Readonly<Record<string, unknown>>): string {
  const count = range(schema["minItems"] ?? 0, schema["maxItems"]).replace("from", "of");
  const kind = schema["uniqueItems"] === true ? "different items" : "items";
  return `an array${count} ${kind}, each ${noun(schema["items"])}`;
}

function range(minimum: unknown, maximum: unknown): string {
  return typeof minimum === "number" && typeof maximum === "number" ? ` from ${minimum} to ${maximum}` : "";
}

function oneOf(nouns: readonly string[]): string {
  return nouns.length < 2 ? nouns.join("") : `${nouns.slice(0, -1).join(", ")} or ${nouns.at(-1)}`;
}
