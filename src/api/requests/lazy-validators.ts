import { createRequire } from "node:module";
import type AjvCompiler from "@fastify/ajv-compiler";
import type { FastifySchemaCompiler } from "fastify";

type Compile = ReturnType<AjvCompiler.BuildCompilerFromPool>;
interface Validator {
  (data: unknown): unknown;
  errors?: unknown;
}

const load = createRequire(import.meta.url);

/**
 * Fastify's own validators, each made with the first request that needs it. Ajv and some eighty validators take a fifth of the time of a
 * start, and a caller uses few of them.
 */
export const buildLazyValidators: AjvCompiler.BuildCompilerFromPool = (externalSchemas, options) => {
  let compile: Compile | undefined;
  const compileNow: Compile = (schema) => {
    compile ??= (load("@fastify/ajv-compiler") as typeof AjvCompiler)()(externalSchemas, options);
    return compile(schema);
  };
  const compileLazily: FastifySchemaCompiler<unknown> = (route) => {
    let validator: Validator | undefined;
    const lazy: Validator = (data) => {
      validator ??= compileNow(route as never) as Validator;
      const valid = validator(data);
      lazy.errors = validator.errors;
      return valid;
    };
    return lazy as ReturnType<FastifySchemaCompiler<unknown>>;
  };
  return compileLazily as unknown as Compile;
};
