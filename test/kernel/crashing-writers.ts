// Writers that know what was acknowledged, and the comparison of that with what a killed service has after its next start.
import { isDeepStrictEqual } from "node:util";
import { banPath } from "../support/api.ts";
import { type Backend, families, readList, readSets, save } from "../support/kernel.ts";
import type { Network } from "../support/namespaces.ts";
import type { Random } from "../support/random.ts";
import type { Answer, Service } from "../support/service.ts";

/** What one writer alone writes to: a policy's limit, a single ban's reason, and the bans of a batch, which share one reason. */
export interface Belongings {
  readonly policy: string;
  readonly port: number;
  readonly address: string;
  readonly batch: readonly string[];
}

/** The content of one thing: a number that each write gives it anew; null: it is not there. */
type Content = number | null;

/** What is known of one thing: its acknowledged content, and what a write that nobody answered would have made of it. */
interface Knowledge {
  acknowledged: Content;
  inFlight: Content | undefined;
}

export interface Writer {
  /** Writes one thing after another until the service does not answer. @throws {Error} when it answers with an error */
  run(service: Service): Promise<void>;
  /** What of the service's state is neither acknowledged nor was in flight, in words; takes the state for known from then on. */
  contradictions(state: ServiceState): readonly string[];
  /** How many writes were acknowledged. */
  acknowledged(): number;
}

const batchSize = 20;

export function createWriter(number: number, random: Random): Writer {
  const belongings: Belongings = {
    policy: `writer-${number}`,
    port: 60_000 + number,
    address: `198.51.100.${number + 1}`,
    batch: Array.from({ length: batchSize }, (_, item) => `198.18.${number}.${item + 1}`),
  };
  const known = { policy: unknown(), ban: unknown(), batch: unknown() };
  let [last, count] = [0, 0];

  const write = async (what: Knowledge, content: Content, send: () => Promise<Answer>): Promise<void> => {
    what.inFlight = content;
    const { status, body } = await send();
    const fine = status < 300 || (status === 404 && content === null);
    if (!fine) throw new Error(`${status}: ${JSON.stringify(body)}`);
    what.acknowledged = content;
    what.inFlight = undefined;
    count += 1;
  };

  const step = async (service: Service): Promise<void> => {
    const kind = (["policy", "ban", "batch"] as const)[random.integer(3)] ?? "ban";
    last += 1;
    const content = random.integer(4) === 0 ? null : last;
    const { policy, port, address, batch } = belongings;
    const reason = String(content);
    await write(known[kind], content, () => {
      if (kind === "policy" && content === null) return service.request("DELETE", `/v1/policies/${policy}`);
      if (kind === "policy") return service.request("PUT", `/v1/policies/${policy}`, { ports: [port], maxConnections: content });
      if (kind === "ban" && content === null) return service.request("DELETE", banPath(address));
      if (kind === "ban") return service.request("PUT", banPath(address), { reason });
      if (content === null) return deleteBatch(service, batch, known.batch.acknowledged);
      return service.request("POST", "/v1/bans/batch", { put: batch.map((one) => ({ address: one, reason })) });
    });
  };

  return {
    acknowledged: () => count,
    run: async (service) => {
      for (;;) {
        try {
          await step(service);
        } catch (error) {
          // The kill: the connection ends, or there is none.
          if (error instanceof Error && "code" in error) return;
          throw error;
        }
      }
    },
    contradictions: (state) => {
      const { policy, address, batch } = belongings;
      const found = {
        policy: state.limits.get(policy) ?? null,
        ban: state.reasons.get(address) ?? null,
        batch: state.reasons.get(batch[0] ?? "") ?? null,
      };
      const half = batch.filter((one) => (state.reasons.get(one) ?? null) !== found.batch);
      const wrong = (["policy", "ban", "batch"] as const).flatMap((kind) => {
        const what = known[kind];
        const allowed = what.inFlight === undefined ? [what.acknowledged] : [what.acknowledged, what.inFlight];
        known[kind] = { acknowledged: found[kind], inFlight: undefined };
        return allowed.includes(found[kind]) ? [] : [`${kind} of ${policy}: ${found[kind]} instead of ${allowed.join(" or ")}`];
      });
      return half.length === 0
        ? wrong
        : [...wrong, `the batch of ${policy} is half applied: ${half.length} of ${batchSize} differ`];
    },
  };
}

function unknown(): Knowledge {
  return { acknowledged: null, inFlight: undefined };
}

/** A batch deletes only what there is, so that nothing is sent where it was deleted before. */
async function deleteBatch(service: Service, batch: readonly string[], present: Content): Promise<Answer> {
  if (present === null) return { status: 204, headers: {}, body: undefined };
  return service.request("POST", "/v1/bans/batch", { delete: batch });
}

/** Everything that the service says that it has. */
export interface ServiceState {
  /** Limits by policy. */
  readonly limits: ReadonlyMap<string, number>;
  readonly portOf: ReadonlyMap<string, number>;
  /** The numbers that are the reasons, by banned address. */
  readonly reasons: ReadonlyMap<string, number>;
  /** What it does not say to be in the kernel. */
  readonly pending: readonly string[];
}

interface Listed {
  readonly name: string;
  readonly address: string;
  readonly maxConnections: number;
  readonly ports: readonly number[];
  readonly enforced: boolean;
  readonly enforcement: { readonly state: string };
  readonly causes: readonly { readonly reason: string }[];
}

/** Reads all policies and bans over the API. */
export async function readService(service: Service): Promise<ServiceState> {
  const [policies, bans] = await Promise.all([everything(service, "/v1/policies"), everything(service, "/v1/bans")]);
  return {
    limits: new Map(policies.map(({ name, maxConnections }) => [name, maxConnections])),
    portOf: new Map(policies.map(({ name, ports }) => [name, ports[0] ?? 0])),
    reasons: new Map(bans.map(({ address, causes }) => [address, Number(causes[0]?.reason)])),
    pending: [
      ...policies.filter(({ enforcement }) => enforcement.state !== "enforced").map(({ name }) => name),
      ...bans.filter(({ enforced }) => !enforced).map(({ address }) => address),
    ],
  };
}

async function everything(service: Service, path: string): Promise<readonly Listed[]> {
  const items: Listed[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const { status, body } = await service.request("GET", `${path}?limit=1000${cursor === "" ? "" : `&cursor=${cursor}`}`);
    if (status !== 200) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
    const page = body as { readonly items: readonly Listed[]; readonly nextCursor: string | null };
    items.push(...page.items);
    cursor = page.nextCursor;
  }
  return items;
}

/** What the kernel holds other than the service says, in words; read by iptables-save, ipset and /proc, not by the service. */
export async function kernelContradictions(network: Network, backend: Backend, state: ServiceState): Promise<readonly string[]> {
  const { limits, reasons, pending } = state;
  const wanted = [...limits].map(([name, limit]) => `${name}>${limit}`).sort();
  const tables = await Promise.all(families.map(async ({ family }) => limitsIn(await save(network, backend, family))));
  const [list, sets] = await Promise.all([readList(network, "cld4-operator"), readSets(network)]);
  const banned = [
    ...new Set([
      ...(list ?? []).map(({ address }) => address),
      ...(sets.get("cld4-operator") ?? []).map(({ address }) => address),
    ]),
  ].sort();
  return [
    ...pending.map((what) => `${what} is not said to be enforced`),
    ...tables.flatMap((found, index) =>
      isDeepStrictEqual(found, wanted) ? [] : [`limits of IPv${families[index]?.family} differ: ${differing(wanted, found)}`],
    ),
    ...(isDeepStrictEqual(banned, [...reasons.keys()].sort()) ? [] : [`bans differ: ${differing([...reasons.keys()], banned)}`]),
  ];
}

/** `NAME>LIMIT` of every policy's counting rule. */
function limitsIn(text: string): readonly string[] {
  return [...text.matchAll(/^-A CLD-P-(\S+) .*--connlimit-above (\d+)/gm)].map(([, name, limit]) => `${name}>${limit}`).sort();
}

function differing(wanted: readonly string[], found: readonly string[]): string {
  const [missing, extra] = [wanted.filter((one) => !found.includes(one)), found.filter((one) => !wanted.includes(one))];
  return `missing ${missing.slice(0, 5)}, not wanted ${extra.slice(0, 5)}`;
}
