import { createRequire } from "node:module";
import type { FastifyDynamicSwaggerOptions } from "@fastify/swagger";
import type { FastifyInstance, RouteOptions } from "fastify";

/** What the plugin asks of the server that it is registered with. */
interface Host {
  addHook(name: string, hook: Hook): void;
  decorate(name: string, value: Swagger): void;
  getSchemas(): ReturnType<FastifyInstance["getSchemas"]>;
}

type Swagger = FastifyInstance["swagger"];
type Hook = (subject: unknown) => unknown;
type Plugin = (host: Host, options: FastifyDynamicSwaggerOptions, done: () => void) => void;

/**
 * Makes the OpenAPI document of routes that are registered already. Few ask for it, so that @fastify/swagger and what it needs, some 5 MB
 * of resident memory, are loaded by the first of them: the plugin is told of the routes then, in the order in which they came.
 */
export function documentRoutes(
  routes: Iterable<RouteOptions>,
  schemas: ReturnType<FastifyInstance["getSchemas"]>,
  options: FastifyDynamicSwaggerOptions,
): Swagger {
  const load = createRequire(import.meta.url);
  const plugin: Plugin = load("@fastify/swagger");
  const hooks = new Map<string, Hook>();
  const made: Swagger[] = [];
  const host: Host = {
    addHook: (name, hook) => void hooks.set(name, hook),
    decorate: (_name, swagger) => void made.push(swagger),
    getSchemas: () => schemas,
  };
  plugin(host, options, () => undefined);
  for (const route of routes) hooks.get("onRoute")?.(route);
  hooks.get("onReady")?.(() => undefined);
  const [swagger] = made;
  if (swagger === undefined) throw new TypeError("@fastify/swagger makes no document");
  return swagger;
}
