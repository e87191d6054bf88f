// Scenes that describes share, of several files too: a service that has just started is slow, and starts are a third of what the kernel tests take.
import assert from "node:assert/strict";
import { after, before } from "node:test";
import { eventually } from "./eventually.ts";
import { families, listedAddresses, readSets, save } from "./kernel.ts";
import { createScene, type Scene, type SceneOptions } from "./scene.ts";

export type SharedSceneOptions = Pick<SceneOptions, "backend" | "withoutIpset" | "ports">;

/** Nobody's at the moment; by their kind. */
const idle = new Map<string, Scene>();
/** What the kernel held when they had just started. */
const pristine = new WeakMap<Scene, string>();

after(() => Promise.all([...idle.values()].map((scene) => scene.dispose())));

/**
 * One scene for all tests of the enclosing `describe`; the result gives it once they run. Those before it in this process may have used
 * it; then all that they did is removed.
 */
export function shareScene(options: SharedSceneOptions): () => Scene {
  let scene: Scene | undefined;
  before(async () => {
    scene = await lend(options);
  });
  after(() => scene && takeBack(options, scene));
  return () => {
    if (scene === undefined) throw new Error("the scene is there only while the tests run");
    return scene;
  };
}

async function lend(options: SharedSceneOptions): Promise<Scene> {
  const known = idle.get(kindOf(options));
  idle.delete(kindOf(options));
  if (known !== undefined) {
    await known.traffic.serve(...options.ports);
    return known;
  }
  const scene = await createScene(options);
  pristine.set(scene, await kernelOf(options, scene));
  return scene;
}

/** Ends the scene when something is left in it. */
async function takeBack(options: SharedSceneOptions, scene: Scene): Promise<void> {
  const isPristine = async (): Promise<boolean> => (await kernelOf(options, scene)) === pristine.get(scene);
  try {
    await assertTakenBack(scene);
    await clean(scene);
    await eventually("nothing is left in the kernel", isPristine);
    idle.set(kindOf(options), scene);
  } catch {
    await scene.dispose();
  }
}

/** What no request takes back: a grace that somebody was given, a change that undoes itself later. */
async function assertTakenBack({ service }: Scene): Promise<void> {
  const unbans = await service.request("GET", "/v1/audit?action=ban.delete&limit=1000");
  assert.doesNotMatch(JSON.stringify(unbans.body), /"graceUntil"/);
  const confirmations = await service.request("GET", "/v1/confirmations");
  assert.deepEqual(confirmations.body, { items: [], nextCursor: null });
}

async function clean({ api, traffic, network }: Scene): Promise<void> {
  for (const { name } of await api.policies()) await api.deletePolicy(name);
  const bans = await api.bans();
  if (bans.length > 0) await api.batch({ delete: bans.map((ban) => ban.address) });
  await traffic.close((await traffic.client.state()).open);
  // The server's end of a connection that a rule has reset.
  await network.exec("host", "ss", ["-K", "-H", "-t", "state", "connected"]);
  await network.exec("host", "conntrack", ["-F"]);
}

function kindOf({ backend, withoutIpset = false }: SharedSceneOptions): string {
  return `${backend} ${withoutIpset}`;
}

/** The rules of all, the operators' lists, and the sets with their entries. */
async function kernelOf({ backend, withoutIpset }: SharedSceneOptions, { network }: Scene): Promise<string> {
  const rules = await Promise.all(families.map(({ family }) => save(network, backend, family)));
  const sets = withoutIpset === true ? [] : [...(await readSets(network))];
  const lists = await Promise.all(families.map(({ family }) => listedAddresses(network, `cld${family}-operator`)));
  return JSON.stringify([rules, lists, sets]);
}
