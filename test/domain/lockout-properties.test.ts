import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { isWithin } from "../../src/domain/connection-counts.ts";
import { DomainError } from "../../src/domain/errors.ts";
import { contains, formatNetwork, maskNetwork, type Network, overlaps, parseNetwork } from "../../src/domain/network.ts";
import { banDefaults, type PolicySpec } from "../../src/domain/policy.ts";
import { type Random, seededRandom } from "../support/random.ts";
import { samplePolicySpec } from "../support/samples.ts";
import { createTestServices, sampleBanRequest, sampleTerms } from "../support/test-services.ts";

/** Those who are in danger, close together, so that many writes concern some of them. */
const addresses = [
  ...["198.18.0.1", "198.18.0.2", "198.18.0.200", "198.18.7.1", "198.19.0.1", "10.1.0.1"],
  ...["2001:db8::1", "2001:db8::2:1", "2001:db8:0:1::1"],
] as const;
const protectedNetworks = ["127.0.0.0/8", "::1", "10.1.0.0/16"].map(parseNetwork);
const portsInUse = [22, 80, 3306, 7306] as const;

interface Open {
  readonly source: string;
  readonly port: number;
}

function randomNetwork(random: Random): Network {
  const address = parseNetwork(random.pick(addresses));
  const widths = address.family === 4 ? [0, 0, 1, 4, 8, 12, 16, 25] : [0, 0, 32, 64, 65, 80, 113];
  return maskNetwork(address, address.prefix - random.pick(widths));
}

function randomSpec(random: Random): PolicySpec {
  return samplePolicySpec({
    ports: random.pick([[80], [3306], [22], [7306], [22, 80], [80, 7306]]),
    maxConnections: 1 + random.integer(4),
    countPer: { ipv4Prefix: random.pick([32, 24, 15]), ipv6Prefix: random.pick([128, 64, 48]) },
    ban: random.pick([null, { ...banDefaults, seconds: 60 }, { ...banDefaults, seconds: 60, scope: "ports" }]),
    exempt: random.pick([[], [random.pick(addresses)]]),
    mode: random.pick(["enforce", "enforce", "enforce", "observe"]),
  });
}

/** How many connections the kernel would count for `source`, from first principles. */
function countedWith(spec: PolicySpec, source: Network, open: readonly Open[]): number {
  const isSpared = (network: Network) =>
    [...protectedNetworks, ...spec.exempt.map(parseNetwork)].some((spared) => contains(spared, network));
  if (isSpared(source)) return 0;
  const prefix = source.family === 4 ? spec.countPer.ipv4Prefix : spec.countPer.ipv6Prefix;
  const counted = maskNetwork(source, prefix);
  return open.filter(({ source: other, port }) => {
    const network = parseNetwork(other);
    return spec.ports.includes(port) && contains(counted, network) && !isSpared(network);
  }).length;
}

/** Who could not reach its port any more, were the policy enforced. */
function shutOut(spec: PolicySpec, lifelines: readonly Open[], open: readonly Open[]): readonly string[] {
  if (spec.mode !== "enforce") return [];
  return lifelines.flatMap(({ source, port }) => {
    const concerned = spec.ban?.scope === "host" || spec.ports.includes(port);
    return concerned && countedWith(spec, parseNetwork(source), open) > spec.maxConnections ? [source] : [];
  });
}

async function isTaken(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (error instanceof DomainError && error.code === "lockout") return false;
    throw error;
  }
}

/** A host with random surroundings and connections. */
function randomScene(t: TestContext, random: Random) {
  const services = createTestServices(t);
  const [caller, ssh, gateway, own] = [0, 1, 2, 3].map(() => random.pick(addresses));
  assert.ok(caller && ssh && gateway && own);
  services.surroundings.set({ sshClients: [ssh], gateways: [gateway], ownAddresses: [own] });
  const open = Array.from({ length: 30 }, () => ({ source: random.pick(addresses), port: random.pick(portsInUse) }));
  for (const { source, port } of open) services.connections.open(source, port);
  const terms = sampleTerms({ caller: { address: caller, admin: true } });
  const lifelines: readonly Open[] = [
    { source: caller, port: 7306 },
    { source: ssh, port: 22 },
    // Reached on no port of this host: shut out by a ban from everything only.
    { source: gateway, port: 0 },
    { source: own, port: 0 },
  ];
  return { ...services, open, lifelines, terms, insisting: { ...terms, allowLockout: true } };
}

test("500 random bans never shut out a protected address or, without override, anybody who needs access", async (t) => {
  const random = seededRandom(4);
  const tally = { taken: 0, refused: 0, overridden: 0 };
  for (let round = 0; round < 50; round += 1) {
    const { bans, lifelines, terms, insisting } = randomScene(t, random);
    for (let write = 0; write < 10; write += 1) {
      const network = randomNetwork(random);
      const text = formatNetwork(network);
      const hitsProtected = protectedNetworks.some((one) => overlaps(one, network));
      const hitsSomebody = lifelines.some(({ source }) => contains(network, parseNetwork(source)));
      const isWide = network.prefix < (network.family === 4 ? 8 : 16);
      const taken = await isTaken(bans.put(text, sampleBanRequest(), {}, terms));
      assert.equal(taken, !hitsProtected && !hitsSomebody && !isWide, text);
      const overridden = await isTaken(bans.put(text, sampleBanRequest(), {}, insisting));
      assert.equal(overridden, !hitsProtected, text);
      tally[taken ? "taken" : "refused"] += 1;
      if (overridden && !taken) tally.overridden += 1;
    }
  }
  for (const [what, count] of Object.entries(tally)) assert.ok(count > 50, `${count} ${what}`);
});

test("500 random policies never shut out, without override, anybody who needs access, and never a protected address", async (t) => {
  const random = seededRandom(5);
  const tally = { taken: 0, refused: 0 };
  for (let round = 0; round < 50; round += 1) {
    const { policies, lifelines, open, terms, insisting } = randomScene(t, random);
    for (let write = 0; write < 10; write += 1) {
      const spec = randomSpec(random);
      const out = shutOut(spec, lifelines, open);
      const leavesNoRoom = spec.maxConnections === 1 && spec.ports.includes(7306);
      const taken = await isTaken(policies.put("web", spec, {}, terms));
      if (!leavesNoRoom) assert.equal(taken, out.length === 0, `${JSON.stringify(spec)} shuts out ${out}`);
      else if (taken) assert.deepEqual(out, []);
      const { impact } = await policies.foresee.put("web", spec, {}, insisting);
      const spared = impact.sources.filter(({ outcome }) => outcome === "protected").map(({ source }) => source);
      const concerned = impact.sources.filter(({ outcome }) => outcome === "refused" || outcome === "banned");
      for (const { source } of concerned) assert.ok(!isWithin(parseNetwork(source), protectedNetworks), source);
      for (const source of spared)
        assert.ok(
          protectedNetworks.some((one) => overlaps(one, parseNetwork(source))),
          source,
        );
      tally[taken ? "taken" : "refused"] += 1;
    }
  }
  for (const [what, count] of Object.entries(tally)) assert.ok(count > 50, `${count} ${what}`);
});
