import type { FastifyInstance, FastifyRequest, RouteOptions } from "fastify";
import { allows, type Scope } from "../../domain/scope.ts";
import { insufficientScope } from "../problems/problem.ts";
import type { Place } from "../requests/method-not-allowed.ts";

/**
 * Writes the scope that each route declares into its documentation. A server on which some route that is not public declares none
 * does not get ready.
 */
export function declareScopes(app: FastifyInstance): void {
  const routes: RouteOptions[] = [];
  app.addHook("onRoute", (route) => {
    routes.push(route);
    const scope = route.config?.scope;
    if (scope !== undefined && route.method !== "HEAD") route.schema = documented(route.schema ?? {}, scope);
  });
  app.addHook("onReady", async () => {
    // Only now, as plugins may add to the configuration of their routes after the hook above has seen them.
    const open = routes.filter(({ config }) => config?.isPublic !== true && config?.scope === undefined);
    if (open.length === 0) return;
    throw new Error(`routes without a scope: ${open.map(({ method, url }) => `${String(method)} ${url}`).join(", ")}`);
  });
}

/**
 * Refuses who may not. A path that no route has asks for nothing but a token that is good.
 * @throws {ApiProblem} `insufficient-scope`
 */
export function assertScope(
  held: readonly Scope[],
  { method }: Pick<FastifyRequest, "method">,
  { url: path, config }: Place,
): void {
  const { isPublic, scope: needed = "admin" } = config;
  if (isPublic === true || path === undefined || allows(held, needed)) return;
  throw insufficientScope(needed, `${method} ${path} needs the scope ${needed}, and the token has ${held.join(", ")}.`);
}

function documented(schema: NonNullable<RouteOptions["schema"]>, scope: Scope): NonNullable<RouteOptions["schema"]> {
  const before = schema.description === undefined ? "" : `${schema.description} `;
  const needs = `Needs the scope \`${scope}\`.`;
  return { ...schema, description: `${before}${needs}`, security: [{ bearer: [scope] }] };
}
