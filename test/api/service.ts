import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { FastifyBaseLogger, FastifyInstance, InjectOptions } from "fastify";
import { createAccess, type Transport } from "../../src/api/access/access.ts";
import { createFailedAttempts } from "../../src/api/access/failed-attempts.ts";
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

/** Starts a server whose state goes with the test. */
export async function startApi(
  test: TestContext,
  {
    transport = "tcp",
    logger,
    cursorSecret = "secret",
    bans,
    connectionLimit,
    overloadLimits = noDelayMeasured,
  }: ApiOptions = {},
): Promise<Api> {
  const services = createTestServices(test);
  const inspector = createFakeInspector();
  const enforcement = createFakePassHistory();
  let readiness: Readiness = { ready: true };
  let remoteAddress = "127.0.0.1";
  const app = createServer({
    transport,
    policies: services.policies,
    bans: bans ?? services.bans,
    confirmations: services.confirmations,
    look: services.look,
    enforcer: services.enforcer,
    inspector,
    enforcement,
    tokens: services.tokens,
    audit: services.audit,
    access: createAccess(adminToken, {
      identify: (text) => (text === ciToken ? sampleToken(text) : services.tokens.identify(text)),
    }),
    attempts: createFailedAttempts(services.clock),
    readiness: () => readiness,
    cursorSecret,
    version: "0.0.0-test",
    logger: logger ?? false,
    overloadLimits,
    ...(connectionLimit === undefined ? {} : { connectionLimit }),
  });
  await app.ready();
  test.after(() => app.close());
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
