import type { TSchema, Type as TypeBox } from "typebox";

/** The part of TypeBox that the schemas of this service are made of. */
type Builders = Pick<
  typeof TypeBox,
  "Array" | "Boolean" | "Enum" | "Integer" | "Literal" | "Null" | "Object" | "Optional" | "String" | "Union" | "Unsafe"
>;

type Options = Readonly<Record<string, unknown>>;
type Schema = Options;

const optionalSchemas = new WeakSet<Schema>();

/**
 * Makes JSON schemas as TypeBox does, whose types they have. TypeBox itself is some 370 modules and 10 MB of resident memory, nearly all of
 * it for what is not used here; a type-only import of it is erased.
 */
export const Type = {
  Array: (items: TSchema, options?: Options): Schema => ({ type: "array", items, ...options }),
  Boolean: (options?: Options): Schema => ({ type: "boolean", ...options }),
  Enum: (values: readonly unknown[], options?: Options): Schema => ({ enum: values, ...options }),
  Integer: (options?: Options): Schema => ({ type: "integer", ...options }),
  Literal: (value: string | number | boolean, options?: Options): Schema => ({ type: typeof value, const: value, ...options }),
  Null: (options?: Options): Schema => ({ type: "null", ...options }),
  Object: (properties: Readonly<Record<string, Schema>>, options?: Options): Schema => {
    const required = Object.keys(properties).filter((name) => !optionalSchemas.has(properties[name] ?? {}));
    return { type: "object", ...(required.length > 0 ? { required } : {}), properties, ...options };
  },
  /** A copy of the schema that its object need not have. */
  Optional: (schema: Schema): Schema => {
    const copy = { ...schema };
    optionalSchemas.add(copy);
    return copy;
  },
  String: (options?: Options): Schema => ({ type: "string", ...options }),
  Union: (schemas: readonly TSchema[], options?: Options): Schema => ({ anyOf: schemas, ...options }),
  Unsafe: (schema: Schema): Schema => schema,
  // What TypeBox infers can't be written down here without TypeBox.
} as unknown as Builders;
