import { createRequire } from "node:module";
import type AjvCompiler from "@fastify/ajv-compiler";

/** What Fastify asks for a part of a route's requests, and what it asks about each of them. */
interface RoutePart {
  readonly schema: unknown;
  readonly httpPart?: string;
}
interface Validator {
  (data: unknown): unknown;
  errors?: unknown;
}
type Compile = (part: RoutePart) => Validator;

const load = createRequire(import.meta.url);
/** It keeps one Ajv for all parts of all servers that ask for the same. */
let pool: AjvCompiler.BuildCompilerFromPool | undefined;

/**
 * Fastify's own validators, each made with the first request that needs it. Ajv and some eighty validators take a fifth of the time of a
 * start, and a caller uses few of them.
 */
export const buildLazyValidators: AjvCompiler.BuildCompilerFromPool = (externalSchemas, options) => {
  let compile: Compile | undefined;
  const make: Compile = (part) => {
    pool ??= (load("@fastify/ajv-compiler") as typeof AjvCompiler)();
    compile ??= pool(externalSchemas, options) as unknown as Compile;
    return compile(part.httpPart === "headers" ? { ...part, schema: withLowerCase(part.schema as HeaderSchema) } : part);
  };
  const compileLazily: Compile = (part) => {
    let validator: Validator | undefined;
    const lazy: Validator = (data) => {
      validator ??= make(part);
      const valid = validator(data);
      lazy.errors = validator.errors;
      return valid;
    };
    return lazy;
  };
  return compileLazily as unknown as ReturnType<AjvCompiler.BuildCompilerFromPool>;
};

interface HeaderSchema {
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly required?: readonly string[];
}

/** The names of headers as Node gives them. Fastify sees to that only for a compiler that it made itself. */
function withLowerCase(schema: HeaderSchema): HeaderSchema {
  const { properties = {}, required = [] } = schema;
  return {
    ...schema,
    properties: Object.fromEntries(Object.entries(properties).map(([name, value]) => [name.toLowerCase(), value])),
    required: required.map((name) => name.toLowerCase()),
  };
}
