import type { FastifyPluginAsyncTypebox } from "@fastify/type-provider-typebox";
import type { Static } from "typebox";
import { addressFrom } from "../../domain/ban-rules.ts";
import { formatNetwork } from "../../domain/network.ts";
import type { Check, LookService } from "../../domain/services.ts";
import { presentBan } from "../bans/representation.ts";
import { formatEnd, reference, strictObject } from "../fields.ts";
import { json, problems } from "../openapi/responses.ts";
import { CheckPath, CheckResource } from "./schemas.ts";

export interface CheckRouteOptions {
  readonly look: LookService;
}

export const checkRoutes: FastifyPluginAsyncTypebox<CheckRouteOptions> = async (app, { look }) => {
  app.get(
    "/v1/check/:ip",
    {
      config: { scope: "read" },
      schema: {
        operationId: "checkAddress",
        tags: ["looking"],
        summary: "Would this address get in now",
        description:
          "The verdict, and all that concerns the address: bans, policies, open connections, a grace, rules of others.",
        params: CheckPath,
        querystring: strictObject({}),
        response: {
          200: json("What would happen.", reference(CheckResource)),
          ...problems("invalid-input", "uri-too-long", "not-ready"),
        },
      },
    },
    async ({ params }) => presentCheck(await look.check(formatNetwork(addressFrom(params.ip, "ip")))),
  );
};

function presentCheck({ address, verdict, bans, policies, grace, shadowedBy, enforced }: Check): Static<typeof CheckResource> {
  return {
    address,
    verdict,
    bans: bans.map(presentBan),
    policies: policies.map(({ name, mode, ports, maxConnections, openConnections, overLimit, exempt, bannedUntil }) => ({
      name,
      mode,
      ports: [...ports],
      maxConnections,
      openConnections,
      overLimit,
      exempt,
      bannedUntil: formatEnd(bannedUntil),
    })),
    graceUntil: formatEnd(grace),
    shadowedBy: [...shadowedBy],
    enforced,
  };
}
