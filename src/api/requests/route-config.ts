import type { Caller } from "../../domain/caller.ts";
import type { Scope } from "../../domain/scope.ts";

declare module "fastify" {
  interface FastifyContextConfig {
    /** True for the few routes that need no token. */
    readonly isPublic?: boolean;
    /** What a token needs for the route; every route that is not public declares it. */
    readonly scope?: Scope;
    /** True where an answer is due however much there is to do. */
    readonly neverOverloaded?: boolean;
    /** Top-level fields that the route's answers carry and its requests must not. */
    readonly readOnlyFields?: readonly string[];
    /** True for a route whose method usually has a body, and that takes none. */
    readonly takesNoBody?: boolean;
  }

  interface FastifyRequest {
    /** Who asks; on public routes nobody, with an empty name. */
    caller: Caller;
  }
}
