import type { FieldError } from "../../domain/errors.ts";
import { maxListedErrors } from "../problems/problem.ts";
import { exclusiveFields, isRecord, propertiesOf, takes } from "./schema-words.ts";

/** An error of Ajv with the `verbose` option: `parentSchema` is the schema that holds the keyword which failed. */
interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly parentSchema: unknown;
  readonly data: unknown;
}

/** What Fastify throws when a part of the request does not fit its schema. */
export interface ValidationFailure extends Error {
  readonly validation: readonly unknown[];
  readonly validationContext: string;
}

/** True for the error of a request that does not fit the schemas of its route. */
export function isValidationFailure(error: unknown): error is ValidationFailure {
  return error instanceof Error && "validation" in error && Array.isArray(error.validation) && "validationContext" in error;
}

/** The wrong fields that an answer names, and how many faults it leaves out. */
export interface FieldErrors {
  readonly errors: readonly FieldError[];
  readonly omitted: number;
}

/**
 * Says for each wrong field what it takes. Fields of the body are named by JSON pointers, parameters and headers by their names.
 * @param readOnlyFields top-level fields of the body that answers carry and requests must not
 */
export function fieldErrors(
  { validation, validationContext }: ValidationFailure,
  readOnlyFields: readonly string[],
): FieldErrors {
  const named = new Map<string, FieldError>();
  const faults = withoutUnionNoise(validation.map(schemaError));
  let described = 0;
  for (const error of faults) {
    if (named.size >= maxListedErrors) break;
    described += 1;
    for (const { path, message } of describe(error, validationContext, readOnlyFields)) {
      const pointer = validationContext === "body" ? path : path.slice(1);
      if (!named.has(pointer)) named.set(pointer, { pointer, message });
    }
  }
  const errors = [...named.values()];
  return {
    errors: errors.slice(0, maxListedErrors),
    omitted: faults.length - described + Math.max(0, errors.length - maxListedErrors),
  };
}

interface PathError {
  readonly path: string;
  readonly message: string;
}

function describe(error: SchemaError, context: string, readOnlyFields: readonly string[]): readonly PathError[] {
  const { keyword, instancePath, params, parentSchema, data } = error;
  if (keyword === "additionalProperties" && typeof params["additionalProperty"] === "string") {
    const name = params["additionalProperty"];
    const isReadOnly = context === "body" && instancePath === "" && readOnlyFields.includes(name);
    return [
      {
        path: childPath(instancePath, name),
        message: isReadOnly ? "is read-only; leave it out" : unknownField(parentSchema, context),
      },
    ];
  }
  if (keyword === "required" && typeof params["missingProperty"] === "string") {
    const name = params["missingProperty"];
    return [{ path: childPath(instancePath, name), message: `is required and ${takes(propertiesOf(parentSchema)[name])}` }];
  }
  if (keyword === "uniqueItems" && typeof params["i"] === "number" && typeof params["j"] === "number") {
    const [first, second] = [params["i"], params["j"]].sort((a, b) => a - b);
    return [{ path: `${instancePath}/${second}`, message: `must differ from the others; it repeats ${instancePath}/${first}` }];
  }
  if (keyword === "not") {
    const names = exclusiveFields(parentSchema);
    return names.map((name) => ({
      path: childPath(instancePath, name),
      message: `must not be given together with ${names.filter((other) => other !== name).join(", ")}`,
    }));
  }
  const isRepeated = context === "querystring" && Array.isArray(data);
  return [{ path: instancePath, message: isRepeated ? "must be given once" : takes(parentSchema) }];
}

function unknownField(parentSchema: unknown, context: string): string {
  const known = Object.keys(propertiesOf(parentSchema));
  const what = context === "querystring" ? "is not a parameter of this route" : "is not a known field";
  if (known.length === 0) return `${what}; it takes none`;
  return `${what}; known are ${known.join(", ")}`;
}

/**
 * A value that fits no branch of an `anyOf` leaves the errors of every branch. Where one branch has the right type, what is wrong
 * inside it is the answer; otherwise the union as a whole is.
 */
function withoutUnionNoise(errors: readonly SchemaError[]): readonly SchemaError[] {
  const unions = errors.filter(({ keyword }) => keyword === "anyOf");
  if (unions.length === 0) return errors;
  const dropped = new Set<SchemaError>();
  for (const union of unions) {
    const inside = errors.filter((error) => error !== union && isWithin(error.instancePath, union.instancePath));
    const aboutType = inside.filter((error) => error.instancePath === union.instancePath && isAboutType(error));
    for (const error of aboutType) dropped.add(error);
    if (aboutType.length < inside.length) dropped.add(union);
  }
  return errors.filter((error) => !dropped.has(error));
}

function isWithin(path: string, outer: string): boolean {
  return path === outer || path.startsWith(`${outer}/`);
}

function isAboutType({ keyword }: SchemaError): boolean {
  return keyword === "type" || keyword === "const" || keyword === "enum";
}

function childPath(parent: string, name: string): string {
  return `${parent}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

function schemaError(error: unknown): SchemaError {
  if (!isRecord(error)) throw new TypeError("Ajv reports errors as objects");
  const { keyword, instancePath, params, parentSchema, data } = error;
  return {
    keyword: String(keyword),
    instancePath: String(instancePath),
    params: isRecord(params) ? params : {},
    parentSchema,
    data,
  };
}
