import { METHODS } from "node:http";
import type { FastifyInstance, FastifyPluginAsync, RouteOptions } from "fastify";
import { ApiProblem } from "../problems/problem.ts";

/** The routes of a server by path, as they are registered. */
export type KnownRoutes = ReadonlyMap<string, readonly RouteOptions[]>;

/** Makes every method of HTTP routable, and notes the routes that are registered from now on. */
export function noteRoutes(app: FastifyInstance): KnownRoutes {
  for (const method of METHODS) {
    if (!app.supportedMethods.includes(method)) app.addHttpMethod(method);
  }
  const routes = new Map<string, RouteOptions[]>();
  app.addHook("onRoute", (route) => {
    routes.set(route.url, [...(routes.get(route.url) ?? []), route]);
  });
  return routes;
}

/** Answers 405 with `Allow` to every method that the paths known until now don't take. */
export const refuseOtherMethods: FastifyPluginAsync<{ readonly routes: KnownRoutes }> = async (app, { routes }) => {
  for (const [url, known] of [...routes]) {
    const allowed = METHODS.filter((method) => app.hasRoute({ method, url }));
    const allow = allowed.join(", ");
    const refuse = async (method: string): Promise<never> => {
      throw new ApiProblem("method-not-allowed", `${method} does not apply here; this path takes ${allow}.`, {
        headers: { allow },
      });
    };
    app.route({
      method: METHODS.filter((method) => !allowed.includes(method)),
      url,
      schema: { hide: true },
      config: known.some(({ config }) => config?.isPublic === true) ? { isPublic: true } : { scope: "read" },
      // Here rather than in the handler: a body that no one wants is not read.
      onRequest: async (request) => refuse(request.method),
      handler: async (request) => refuse(request.method),
    });
  }
};
