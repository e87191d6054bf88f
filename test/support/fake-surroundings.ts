import type { HostAccess, Surroundings } from "../../src/domain/ports.ts";

type Addresses = Readonly<Record<"gateways" | "ownAddresses" | "sshClients" | "formerSshClients", readonly string[]>>;

/** A host's surroundings, as a test wants them. */
export interface FakeSurroundings extends Surroundings {
  set(different: Partial<Addresses>): void;
  /** Makes reading SSH clients fail with `error` until it is called with `undefined`. */
  fail(error: Error | undefined): void;
}

/** A gateway 172.16.0.1, this host at 172.16.0.10 and fd00::10, and one SSH client, 172.16.0.200, on port 22. */
export function createFakeSurroundings(): FakeSurroundings {
  let state: Addresses = {
    gateways: ["172.16.0.1"],
    ownAddresses: ["172.16.0.10", "fd00::10"],
    sshClients: ["172.16.0.200"],
    formerSshClients: [],
  };
  let failure: Error | undefined;
  const look = async (): Promise<HostAccess> => {
    if (failure !== undefined) throw failure;
    const { gateways, ownAddresses, sshClients } = state;
    return { gateways, ownAddresses, sshClients, sshPorts: [22] };
  };
  return {
    set(different) {
      state = { ...state, ...different };
    },
    fail(error) {
      failure = error;
    },
    look,
    recentLook: async () => {
      const access = await look();
      return { ...access, sshClients: [...access.sshClients, ...state.formerSshClients] };
    },
  };
}
