import { eventually } from "../../test/support/eventually.ts";
import type { Answer, Service } from "../../test/support/service.ts";

/** Ports of the policies begin here. */
export const firstPort = 10_000;
const batchSize = 10_000;
const atOnce = 50;

/** Makes `count` enforcing policies with host bans, one port each from `firstPort` on, limits that nobody reaches. */
export async function putPolicies(service: Service, count: number): Promise<void> {
  for (let begun = 0; begun < count; begun += atOnce) {
    const numbers = Array.from({ length: Math.min(atOnce, count - begun) }, (_, n) => begun + n);
    await Promise.all(numbers.map((number) => putPolicyPatiently(service, number)));
    await untilEnforced(service);
  }
}

/** A service whose host is busy refuses rather than let its callers wait. */
async function putPolicyPatiently(service: Service, number: number): Promise<void> {
  const answer = await eventually(
    "the service has time for another policy",
    async () => {
      const said = await requestPolicy(service, number);
      return said.status !== 503 && said;
    },
    { within: 60_000 },
  );
  assertDone(answer, 202);
}

/** Waits for policies that were stored, but not in the kernel in time for their answer. */
export async function untilEnforced(service: Service): Promise<void> {
  await eventually(
    "all policies are enforced",
    async () => {
      const { body } = await service.request("GET", "/v1/policies?limit=1000");
      return !JSON.stringify(body).includes('"state":"pending"');
    },
    { within: 60_000, every: 5 },
  );
}

/** Makes one of them. */
export async function putPolicy(service: Service, number: number, maxConnections = 1_000_000): Promise<void> {
  assertDone(await requestPolicy(service, number, maxConnections), 202);
}

function requestPolicy(service: Service, number: number, maxConnections = 1_000_000): Promise<Answer> {
  const body = { ports: [firstPort + number], maxConnections, ban: { seconds: 60, scope: "host" } };
  return service.request("PUT", `/v1/policies/${policyName(number)}`, body);
}

export function policyName(number: number): string {
  return `service-${number}`;
}

/** Bans addresses number `from` to `to` for a day. */
export async function putBans(service: Service, from: number, to: number): Promise<void> {
  for (let begun = from; begun < to; begun += batchSize) {
    const numbers = Array.from({ length: Math.min(batchSize, to - begun) }, (_, n) => begun + n);
    const put = numbers.map((number) => ({ address: bannedAddress(number), ttlSeconds: 86_400, sever: false }));
    assertDone(await service.request("POST", "/v1/bans/batch", { put }), 202);
    await untilInStep(service);
  }
}

/** Waits for what was stored, but not in the kernel in time for its answer: ten thousand bans can meet a look at a thousand policies. */
async function untilInStep(service: Service): Promise<void> {
  const inStep = async (): Promise<boolean> => (await service.request("GET", "/readyz")).status === 200;
  await eventually("the kernel is in step", inStep, { within: 60_000, every: 20 });
}

/** Lifts every ban. */
export async function liftBans(service: Service): Promise<void> {
  for (;;) {
    const addresses = await addressesOf(service, batchSize);
    if (addresses.length === 0) return;
    assertDone(await service.request("POST", "/v1/bans/batch", { delete: addresses }));
  }
}

/** Up to `count` addresses that are banned. */
export async function addressesOf(service: Service, count: number): Promise<readonly string[]> {
  const addresses: string[] = [];
  let cursor = "";
  while (addresses.length < count) {
    const answer = await service.request("GET", `/v1/bans?limit=1000${cursor}`);
    assertDone(answer);
    const page = answer.body as { readonly items: readonly { readonly address: string }[]; readonly nextCursor: string | null };
    addresses.push(...page.items.map(({ address }) => address));
    if (page.nextCursor === null) break;
    cursor = `&cursor=${page.nextCursor}`;
  }
  return addresses;
}

/** Networks 11.0.0.0/8 and up are in nobody's use here. */
export function bannedAddress(number: number): string {
  return `${11 + Math.floor(number / 2 ** 24)}.${(number >> 16) & 0xff}.${(number >> 8) & 0xff}.${number & 0xff}`;
}

/** @throws {Error} for anything that is not stored and in the kernel, but for statuses that are accepted here */
export function assertDone({ status, body }: Answer, ...accepted: readonly number[]): void {
  if (![200, 201, 204, ...accepted].includes(status))
    throw new Error(`the service answers ${status}: ${JSON.stringify(body).slice(0, 500)}`);
}
