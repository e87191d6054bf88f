import type { FastifyInstance } from "fastify";

/** What every answer says: it is true now, it is what its type says, and this is its name in the log and in the audit. */
export function setCommonHeaders(app: FastifyInstance): void {
  app.addHook("onRequest", async ({ id }, reply) => {
    reply.headers({ "cache-control": "no-store", "x-content-type-options": "nosniff", "x-request-id": id });
  });
}

/** Once the server is told to close, ends each connection after the answer that is under way. */
export function closeConnectionsWhenStopping(app: FastifyInstance): void {
  let isStopping = false;
  app.addHook("preClose", async () => {
    isStopping = true;
  });
  app.addHook("onSend", async (_request, reply) => {
    if (isStopping) reply.header("connection", "close");
  });
}
