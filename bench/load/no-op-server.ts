// The same server with two routes more: PUT /v1/no-op/{address} does nothing, GET /v1/no-op answers with a page of bans that is ready.
// Arguments: host, port, token.
import { pino } from "pino";
import { createAdminAccess } from "../../src/api/access/access.ts";
import { createFailedAttempts } from "../../src/api/access/failed-attempts.ts";
import { BanPath, BanReplacement } from "../../src/api/bans/schemas.ts";
import { reference, strictObject } from "../../src/api/fields.ts";
import { conditionHeaders } from "../../src/api/requests/conditions.ts";
import { writeParameters } from "../../src/api/requests/write-terms.ts";
import { createServer, type ServerOptions } from "../../src/api/server.ts";
import { systemClock } from "../../src/system-clock.ts";
import { bannedAddress } from "./state.ts";

const [host = "", port = "", token = ""] = process.argv.slice(2);

/** Nobody asks it for anything: only the route that does nothing is called. */
const nothing = new Proxy({}, { get: () => undefined }) as never;
const services: Pick<
  ServerOptions,
  "policies" | "bans" | "confirmations" | "look" | "enforcer" | "inspector" | "enforcement" | "tokens" | "audit"
> = {
  tokens: nothing,
  audit: nothing,
  policies: nothing,
  bans: nothing,
  confirmations: nothing,
  look: nothing,
  enforcer: nothing,
  inspector: nothing,
  enforcement: nothing,
};

const app = createServer({
  ...services,
  transport: "tcp",
  access: createAdminAccess(token),
  attempts: createFailedAttempts(systemClock),
  hosts: new Set([host]),
  readiness: () => ({ ready: true }),
  cursorSecret: token,
  version: "0.0.0",
  logger: pino({ level: "warn" }),
});

app.put(
  "/v1/no-op/:address",
  {
    config: { scope: "bans:write" },
    schema: {
      params: BanPath,
      querystring: strictObject(writeParameters),
      headers: conditionHeaders,
      body: reference(BanReplacement),
    },
  },
  async ({ params }, reply) => {
    const { address } = params as { readonly address: string };
    const since = new Date().toISOString();
    return reply
      .code(201)
      .headers({ etag: '"0123456789abcdef"', "connlimitd-changed": "true", location: `/v1/bans/${address}` })
      .send({
        address,
        expiresAt: since,
        enforced: true,
        causes: [{ by: "operator", actor: "admin", reason: "scanner, OPS-123", since, expiresAt: since }],
        severed: 0,
      });
  },
);

const page = JSON.stringify({
  items: Array.from({ length: 1000 }, (_, number) => {
    const since = new Date(number).toISOString();
    const causes = [{ by: "operator", actor: "socket", reason: "", since, expiresAt: since }];
    return { address: bannedAddress(number), expiresAt: since, enforced: true, causes };
  }),
  nextCursor: null,
});
app.get("/v1/no-op", { config: { scope: "read" }, schema: { querystring: strictObject({}) } }, async (_request, reply) =>
  reply.type("application/json").send(page),
);

await app.listen({ host, port: Number(port) });
