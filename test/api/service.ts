import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { FastifyBaseLogger, FastifyInstance, InjectOptions } from "fastify";
import { type Access, createAccess, type Transport } from "../../src/api/access/access.ts";
import { createFailedAttempts, type FailedAttempts } from "../../src/api/access/failed-attempts.ts";
import type { ConnectionLimit } from "../../src/api/connection-limit.ts";
import type { Readiness } from "../../src/api/health/routes.ts";
import { defaultOverloadLimits, type OverloadLimits } from "../../src/api/requests/overload.ts";
import { isRecord } from "../../src/api/requests/schema-words.ts";
import { createServer } from "../../src/api/server.ts";
import type { BanService } from "../../src/domain/services.ts";
import { sampleToken } from "../support/samples.ts";
import { createTestServices } from "../support/test-services.ts";
import { type Answer, assertDocumented } from "./documented-answer.ts";
import { createFakeInspector, createFakePassHistory, type FakeInspector, type FakePassHistory } from "./fake-inspector.ts";
import { standIn } from "./stand-in.ts";

export const adminToken = "correct-horse-battery-staple";

/** The token of `ci`, who may write and is no administrator. */
export const ciToken = "ci-may-write-and-no-more";

/** What differs between the servers of the tests. */
export interface ApiOptions {
  readonly transport?: Transport;
  readonly logger?: FastifyBaseLogger;
  readonly cursorSecret?: string;
  /** Stands in for the real service. */
  readonly bans?: BanService;
  readonly connectionLimit?: ConnectionLimit;
  readonly overloadLimits?: OverloadLimits;
}

/** The HTTP edge on the real domain and the real store, with a kernel in memory. */
export interface Api extends ReturnType<typeof createTestServices> {
  readonly app: FastifyInstance;
  readonly inspector: FakeInspector;
  readonly enforcement: FakePassHistory;
  setReadiness(readiness: Readiness): void;
  /** The address from which requests come from now on; a protected one unless a test says otherwise. */
  setPeer(address: string): void;
  /** Sends a request with the admin's token, and checks the answer against the OpenAPI document; headers given here win. */
  send(method: Method, url: string, payload?: object | string, headers?: Readonly<Record<string, string>>): Promise<Answer>;
}

type Method = NonNullable<InjectOptions["method"]>;

/** A test that asks without a pause leaves the event loop no turn to measure. */
const noDelayMeasured: OverloadLimits = { ...defaultOverloadLimits, maxEventLoopDelay: 0 };

/** What a server is made for: it asks these, and those of the next test after that. */
interface Behind {
  readonly services: Omit<ReturnType<typeof createTestServices>, "bans"> & { readonly bans: BanService };
  readonly inspector: FakeInspector;
  readonly enforcement: FakePassHistory;
  readonly access: Access;
  readonly attempts: FailedAttempts;
  readonly readiness: () => Readiness;
}

interface Server {
  readonly app: FastifyInstance;
  behind: Behind;
  hasListened: boolean;
}

/** Servers that no test is using now. To make one takes 200 ms and some megabytes, for its schemas; and nothing of a test stays in it. */
const idle: Record<Transport, Server[]> = { tcp: [], unix: [] };

async function makeServer(
  { transport = "tcp", logger, cursorSecret = "secret", connectionLimit, overloadLimits = noDelayMeasured }: ApiOptions,
  behind: Behind,
): Promise<Server> {
  const part = <Name extends keyof Behind["services"]>(name: Name) => standIn(() => server.behind.services[name]);
  const server = { behind, hasListened: false };
  const app = createServer({
    transport,
    policies: part("policies"),
    bans: part("bans"),
    confirmations: part("confirmations"),
    look: part("look"),
    enforcer: part("enforcer"),
    tokens: part("tokens"),
    audit: part("audit"),
    inspector: standIn(() => server.behind.inspector),
    enforcement: standIn(() => server.behind.enforcement),
    access: standIn(() => server.behind.access),
    attempts: standIn(() => server.behind.attempts),
    readiness: () => server.behind.readiness(),
    cursorSecret,
    version: "0.0.0-test",
    logger: logger ?? false,
    overloadLimits,
    ...(connectionLimit === undefined ? {} : { connectionLimit }),
  });
  await app.ready();
  app.server.once("listening", () => {
    server.hasListened = true;
  });
  return Object.assign(server, { app });
}

/** A server for a test: one that an earlier test has left, unless it has to be another or has been listening. */
async function borrowServer(test: TestContext, options: ApiOptions, behind: Behind): Promise<FastifyInstance> {
  const { transport = "tcp", bans: _, ...special } = options;
  const isSpecial = Object.keys(special).length > 0;
  const left = isSpecial ? undefined : idle[transport].pop();
  const server = left ?? (await makeServer(options, behind));
  server.behind = behind;
  test.after(async () => {
    if (isSpecial || server.hasListened) await server.app.close();
    else idle[transport].push(server);
  });
  return server.app;
}

/** Starts a server whose state goes with the test. */
export async function startApi(test: TestContext, options: ApiOptions = {}): Promise<Api> {
  const services = createTestServices(test);
  const inspector = createFakeInspector();
  const enforcement = createFakePassHistory();
  let readiness: Readiness = { ready: true };
  let remoteAddress = "127.0.0.1";
  const app = await borrowServer(test, options, {
    services: { ...services, bans: options.bans ?? services.bans },
    inspector,
    enforcement,
    access: createAccess(adminToken, {
      identify: (text) => (text === ciToken ? sampleToken(text) : services.tokens.identify(text)),
    }),
    attempts: createFailedAttempts(services.clock),
    readiness: () => readiness,
  });
  return {
    ...services,
    app,
    inspector,
    enforcement,
    setReadiness(value) {
      readiness = value;
    },
    setPeer(address) {
      remoteAddress = address;
    },
    async send(method, url, payload, headers = {}) {
      const type = payload === undefined ? {} : { "content-type": "application/json" };
      const {
        statusCode,
        headers: answered,
        body,
      } = await app.inject({
        method,
        url,
        remoteAddress,
        headers: { authorization: `Bearer ${adminToken}`, ...type, ...headers },
        ...(payload === undefined ? {} : { payload }),
      });
      const isJson = /json/.test(String(answered["content-type"])) && body !== "";
      const answer: Answer = { status: statusCode, headers: answered, body: isJson ? JSON.parse(body) : body };
      assertDocumented(app.swagger(), String(method), url, answer);
      return answer;
    },
  };
}

/** Fails unless `answer` is a problem document of this type that names these fields; returns what it says of each. */
export function assertProblem(answer: Answer, status: number, slug: string, pointers: readonly string[] = []): readonly string[] {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.equal(answer.headers["content-type"], "application/problem+json");
  assert.partialDeepStrictEqual(answer.body, { type: `/problems/${slug}`, status });
  const errors = isRecord(answer.body) && Array.isArray(answer.body["errors"]) ? answer.body["errors"].filter(isRecord) : [];
  assert.deepEqual(
    errors.map((error) => error["pointer"]),
    pointers.map((pointer) => (pointer === "" || pointer.startsWith("/") ? pointer : `/${pointer}`)),
  );
  return errors.map((error) => String(error["message"]));
}

/** The position of the next page in the answer of a list. */
export function nextCursor({ body }: Answer): string {
  assert.ok(isRecord(body) && typeof body["nextCursor"] === "string", "the list has another page");
  return body["nextCursor"];
}

/** One field of each item in the answer of a list. */
export function listed({ body }: Answer, name: string): readonly unknown[] {
  assert.ok(isRecord(body) && Array.isArray(body["items"]), "the answer is a list");
  return body["items"].filter(isRecord).map((item) => item[name]);
}
