// Everything around the service that can fail, and a measurement of how it takes it.
import { writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Api, apiOf, banPath } from "../support/api.ts";
import { createDirectory, linkPrograms } from "../support/directories.ts";
import { eventually } from "../support/eventually.ts";
import { createFaultyPrograms, type FaultyPrograms, type ProgramFault } from "../support/faulty-programs.ts";
import { type Backend, families, save } from "../support/kernel.ts";
import { createNetwork, type Network } from "../support/namespaces.ts";
import { type Answer, iptablesPrograms, otherPrograms, type Service, startService } from "../support/service.ts";
import { mountSmallDisk } from "../support/small-disk.ts";

/** A service whose surroundings can be made to fail while it runs. */
export interface FaultScene {
  readonly network: Network;
  readonly backend: Backend;
  readonly service: Service;
  readonly api: Api;
  readonly iptables: FaultyPrograms;
  readonly ipset: FaultyPrograms;
  /** The lock file of the legacy backend. */
  readonly lock: string;
  /** A number that no other write of this scene has had. */
  next(): number;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A policy and a ban are in its kernel. */
export async function createFaultScene(backend: Backend): Promise<FaultScene> {
  const directory = await createDirectory();
  const disposals = [async () => directory.remove()];
  const dispose = async (): Promise<void> => {
    for (const each of disposals.toReversed()) await each();
  };
  try {
    const iptables = await createFaultyPrograms(join(directory.path, "iptables"), iptablesPrograms);
    const ipset = await createFaultyPrograms(join(directory.path, "ipset"), ["ipset"]);
    const others = await linkPrograms(join(directory.path, "others"), otherPrograms);
    const lock = join(directory.path, "xtables.lock");
    writeFileSync(lock, "");
    const stateDirectory = join(directory.path, "state");
    const unmount = await mountSmallDisk(stateDirectory);
    disposals.push(unmount);
    const network = await createNetwork();
    disposals.push(network.dispose);
    const env = { PATH: [iptables.directory, ipset.directory, others].join(":"), XTABLES_LOCKFILE: lock };
    const service = await startService({ network, backend, stateDirectory, env });
    disposals.push(service.dispose);
    const api = apiOf(service);
    await api.putPolicy("kept", { ports: [3306], maxConnections: 2, ban: { seconds: 600 } });
    await api.putBan("203.0.113.9");
    let number = 0;
    const next = (): number => {
      number += 1;
      return number;
    };
    return { network, backend, service, api, iptables, ipset, lock, next, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Something that fails around the service. */
export interface Fault {
  readonly name: string;
  /** What is written while it lasts: something that needs what fails. */
  readonly write: "policy" | "address" | "network";
  readonly backends: readonly Backend[];
  /** What the write is answered with. */
  readonly status: 202 | 503;
  /** What `/readyz` says. */
  readonly reason: RegExp;
  /** Whether it is noticed although nothing has to be written. */
  readonly shows: boolean;
  /** Lets it begin; the result ends it. */
  begin(scene: FaultScene): Promise<() => Promise<void>>;
}

const both: readonly Backend[] = ["nft", "legacy"];

function programFault(program: "iptables" | "ipset", fault: ProgramFault): Fault {
  return {
    name: `${program} ${fault === "missing" ? "is missing" : fault}`,
    write: program === "iptables" ? "policy" : "network",
    backends: program === "iptables" ? both : ["nft"],
    status: 202,
    reason: new RegExp(`ip6?(tables|set)\\S* .*${programReasons[fault]}`),
    shows: true,
    begin: async (scene) => {
      scene[program].setFault(fault);
      return async () => scene[program].setFault(null);
    },
  };
}

const programReasons: Readonly<Record<ProgramFault, string>> = {
  missing: "missing",
  hangs: "hangs",
  "exits with 1": "fails",
  "exits with 4": "fails",
  "prints garbage": "(fails|can't be read)",
  "exits with 0 and an error": "fails: Could not fetch rule set",
};

const programFaults: readonly ProgramFault[] = [
  "missing",
  "hangs",
  "exits with 1",
  "exits with 4",
  "prints garbage",
  "exits with 0 and an error",
];

export const iptablesFaults: readonly Fault[] = programFaults.map((fault) => programFault("iptables", fault));
export const ipsetFaults: readonly Fault[] = programFaults
  .filter((fault) => fault !== "exits with 4")
  .map((fault) => programFault("ipset", fault));

const heldLock: Fault = {
  name: "the xtables lock is held",
  write: "policy",
  backends: ["legacy"],
  status: 202,
  reason: /could not get the lock/,
  shows: false,
  begin: async ({ network, lock }) => {
    const holder = network.spawn("host", "flock", ["--no-fork", lock, "sleep", "120"], { stdio: "ignore" });
    await eventually("the lock is held", async () => (await network.tryExec("host", "flock", ["-n", lock, "true"])).code !== 0);
    return async () => {
      holder.kill("SIGKILL");
    };
  },
};

const readOnlyProc: Fault = {
  name: "/proc is read-only",
  write: "address",
  backends: both,
  status: 202,
  reason: /xt_recent can't be used: EROFS/,
  shows: true,
  begin: async (scene) => {
    await remountProc(scene, "ro");
    return () => remountProc(scene, "rw");
  },
};

const fullDisk: Fault = {
  name: "the disk is full",
  write: "address",
  backends: ["nft"],
  status: 503,
  reason: /state\.db can't be written: the disk is full; free some space/,
  shows: true,
  begin: async ({ network, service }) => {
    const ballast = join(service.stateDirectory, "ballast");
    await network.tryExec("host", "dd", ["if=/dev/zero", `of=${ballast}`, "bs=64k"]);
    await network.tryExec("host", "dd", ["if=/dev/zero", `of=${ballast}`, "bs=1k", "oflag=append", "conv=notrunc"]);
    return () => rm(ballast);
  },
};

export const otherFaults: readonly Fault[] = [heldLock, readOnlyProc, fullDisk];

/** In the mount namespace of the service alone. */
async function remountProc({ network, service }: FaultScene, mode: "ro" | "rw"): Promise<void> {
  const options = ["-o", `remount,bind,${mode}`, "/proc"];
  await network.exec("host", "nsenter", ["-t", String(service.pid()), "-m", "mount", ...options]);
}

/** What came of a fault; times in milliseconds. */
export interface Outcome {
  /** From the fault's begin until `/readyz` said so; null where nobody waited for it without writing. */
  readonly toldAfter: number | null;
  readonly reason: string;
  readonly write: { readonly after: number; readonly answer: Answer };
  /** Of a list, while it lasted. */
  readonly readStatus: number;
  /** Whether the rules of before were in the kernel to the end of the fault. */
  readonly rulesKept: boolean;
  /** From the fault's end until `/readyz` was 200 and what was written is in force. */
  readonly recoveredAfter: number;
}

export interface Ordeal {
  /** Let it begin in a quiet time, and wait for `/readyz` before anything is written. */
  readonly silent: boolean;
  /** Milliseconds that the fault lasts at least. */
  readonly lasting: number;
}

/** Lets the service live through a fault. @throws {Error} when it does not tell of it, or does not recover, within 10 s */
export async function undergo(scene: FaultScene, fault: Fault, { silent, lasting }: Ordeal): Promise<Outcome> {
  const { service } = scene;
  if (silent) await untilNothingIsNew(service);
  const before = await saved(scene);
  const begun = performance.now();
  const end = await fault.begin(scene);
  try {
    const toldAfter = silent && fault.shows ? await timeUntil(begun, () => isReady(service, false)) : null;
    const [path, body, replacement] = writeFor(fault, scene.next());
    const asked = performance.now();
    const answer = await service.request("PUT", path, body);
    const write = { after: performance.now() - asked, answer };
    await eventually("/readyz tells of it", () => isReady(service, false), { within: 10_000 });
    const { body: told } = await service.request("GET", "/readyz");
    const { status: readStatus } = await service.request("GET", "/v1/policies");
    const rest = begun + lasting;
    await eventually("it has lasted", async () => performance.now() > rest && isReady(service, false), {
      within: lasting + 10_000,
    });
    const rulesKept = contains(await saved(scene), before);
    await end();
    const ended = performance.now();
    const recoveredAfter = await timeUntil(ended, async () => {
      if (!(await isReady(service, true))) return false;
      // What was not stored is asked for once more.
      if (answer.status >= 500) return (await service.request("PUT", path, body)).status < 202;
      const { body: present } = await service.request("GET", path);
      return replacement(present);
    });
    return { toldAfter, reason: JSON.stringify(told), write, readStatus, rulesKept, recoveredAfter };
  } catch (error) {
    await end();
    throw error;
  }
}

/** What the service has looked at more than once since it has changed is not what it needs to look at. */
async function untilNothingIsNew(service: Service): Promise<void> {
  const looks = new Set<unknown>();
  await eventually(
    "three looks have found nothing",
    async () => {
      const { body } = await service.request("GET", "/v1/status");
      return looks.add((body as { passes: { lastAt: unknown } }).passes.lastAt).size > 3;
    },
    { within: 15_000 },
  );
}

type InForce = (resource: unknown) => boolean;

function writeFor({ write }: Fault, number: number): readonly [path: string, body: object, inForce: InForce] {
  if (write === "policy")
    return [
      `/v1/policies/during-${number}`,
      { ports: [20_000 + number], maxConnections: 2 },
      (policy) => JSON.stringify(policy).includes('"state":"enforced"'),
    ];
  const address = write === "network" ? `198.18.${number}.0/24` : `198.51.100.${number}`;
  return [banPath(address), {}, (ban) => JSON.stringify(ban).includes('"enforced":true')];
}

async function isReady(service: Service, wanted: boolean): Promise<boolean> {
  return ((await service.request("GET", "/readyz")).status === 200) === wanted;
}

async function timeUntil(since: number, check: () => Promise<boolean>): Promise<number> {
  await eventually("it is told, or is over", check, { within: 10_000 });
  return performance.now() - since;
}

/** The rules of both families, read by the real programs. */
async function saved({ network, backend }: FaultScene): Promise<readonly string[]> {
  const texts = await Promise.all(
    families.map(async ({ family }) => (await save(network, backend, family)).split("\n").map((line) => `${family} ${line}`)),
  );
  return texts.flat();
}

function contains(present: readonly string[], wanted: readonly string[]): boolean {
  const lines = new Set(present);
  return wanted.every((line) => lines.has(line));
}
