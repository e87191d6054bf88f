import { type Api, apiOf } from "./api.ts";
import type { Backend } from "./kernel.ts";
import { createNetwork, type Network } from "./namespaces.ts";
import { type Service, startService } from "./service.ts";
import { startTraffic, type Traffic } from "./traffic.ts";

/** What stands on the stage of a kernel test. */
export interface SceneOptions {
  readonly backend: Backend;
  /** Ports with echo servers. */
  readonly ports: readonly number[];
  readonly env?: Readonly<Record<string, string>>;
  /** The host does not have the program ipset. */
  readonly withoutIpset?: boolean;
  readonly stateDirectory?: string;
  /** Done in the network before the service starts. */
  readonly prepare?: (network: Network) => Promise<void>;
}

/** A network with the service and servers in it, and clients. */
export interface Scene {
  readonly network: Network;
  readonly traffic: Traffic;
  readonly service: Service;
  readonly api: Api;
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Networks that the service of every scene protects. */
export const protectedNetworks = ["10.9.250.0/24", "2001:db8:9:fa00::/56"] as const;

/** Sockets of a test are few. */
const socketSlots = 4096;

export async function createScene(options: SceneOptions): Promise<Scene> {
  const { backend, ports, env = {}, withoutIpset = false, stateDirectory, prepare } = options;
  const network = await createNetwork({ socketSlots });
  try {
    await prepare?.(network);
    const [traffic, service] = await Promise.all([
      startTraffic(network, ...ports),
      startService({
        network,
        backend,
        withoutIpset,
        env: { CONNLIMITD_PROTECT: protectedNetworks.join(","), ...env },
        ...(stateDirectory === undefined ? {} : { stateDirectory }),
      }),
    ]);
    const dispose = async (): Promise<void> => {
      await service.dispose();
      await network.dispose();
    };
    return { network, traffic, service, api: apiOf(service), dispose, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await network.dispose();
    throw error;
  }
}
