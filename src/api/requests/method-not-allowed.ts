import type { FastifyContextConfig, FastifyInstance, FastifyPluginAsync, FastifyRequest, RouteOptions } from "fastify";
import { ApiProblem } from "../problems/problem.ts";

/** The routes of a server by path, as they are registered. */
export type KnownRoutes = ReadonlyMap<string, readonly RouteOptions[]>;

/** Where a request arrives. */
export interface Place {
  /** The path of the route, as it was registered; `undefined` where there is none. */
  readonly url?: string | undefined;
  readonly config: FastifyContextConfig;
}

/** A path that has routes. */
interface KnownPath extends Place {
  readonly url: string;
  readonly pattern: RegExp;
  readonly allowed: readonly string[];
}

/** What paths don't take. */
export interface OtherMethods {
  /** Where a request arrives: at its route, or, with a method that no route takes, at the path that it names. */
  placeOf(request: FastifyRequest): Place;
  /** Answers 405 with `Allow` to the methods that no route takes. */
  refuseUnused(app: FastifyInstance): void;
  /** The same to every other method that the paths known until now don't take. */
  readonly refuseOthers: FastifyPluginAsync;
}

/** The methods that some route takes. Those that Node knows besides are all the same here. */
const usedMethods = ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"];

/** Notes the routes that are registered from now on. */
export function noteRoutes(app: FastifyInstance): KnownRoutes {
  const routes = new Map<string, RouteOptions[]>();
  app.addHook("onRoute", (route) => {
    routes.set(route.url, [...(routes.get(route.url) ?? []), route]);
  });
  return routes;
}

/** The router keeps a tree of all paths for each method: for the thirty that no route takes, that would be some 5 MB of resident memory. */
export function createOtherMethods(routes: KnownRoutes): OtherMethods {
  let paths: readonly KnownPath[] = [];

  const unusedAt = ({ is404, method, url }: FastifyRequest): KnownPath | undefined => {
    if (!is404 || usedMethods.includes(method)) return undefined;
    // The router has refused what can't be decoded.
    const path = decodeURI(url.replace(/[?#].*/s, ""));
    return paths.find(({ pattern }) => pattern.test(path));
  };

  return {
    placeOf: (request) => unusedAt(request) ?? request.routeOptions,
    refuseUnused(app) {
      app.addHook("onRequest", async (request) => {
        const path = unusedAt(request);
        if (path !== undefined) throw notAllowed(request, path);
      });
    },
    refuseOthers: async (app) => {
      paths = [...routes].map(([url, known]) => ({
        url,
        config: known.some(({ config }) => config?.isPublic === true) ? { isPublic: true } : { scope: "read" },
        pattern: patternOf(url),
        allowed: usedMethods.filter((method) => app.hasRoute({ method, url })),
      }));
      for (const path of paths) {
        const refuse = async (request: FastifyRequest): Promise<never> => {
          throw notAllowed(request, path);
        };
        app.route({
          method: usedMethods.filter((method) => !path.allowed.includes(method)),
          url: path.url,
          schema: { hide: true },
          config: path.config,
          // Here rather than in the handler: a body that no one wants is not read.
          onRequest: refuse,
          handler: refuse,
        });
      }
    },
  };
}

function notAllowed({ method }: FastifyRequest, { allowed }: KnownPath): ApiProblem {
  const allow = allowed.join(", ");
  return new ApiProblem("method-not-allowed", `${method} does not apply here; this path takes ${allow}.`, { headers: { allow } });
}

/** Parameters stand for whole segments. */
function patternOf(url: string): RegExp {
  const segments = url.split("/").map((segment) => (segment.startsWith(":") ? "[^/]+" : RegExp.escape(segment)));
  return new RegExp(`^${segments.join("/")}$`, "s");
}
