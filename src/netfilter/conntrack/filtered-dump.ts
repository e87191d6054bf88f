import type { Network } from "../../domain/network.ts";
import { createNetlinkSocket, type NetlinkSocketOptions } from "../netlink/netlink-socket.ts";
import type { TrackedConnection } from "./conntrack-lines.ts";
import { createDumpAnswer, dumpRequest, isFilterable } from "./conntrack-messages.ts";

/**
 * The open TCP connections that an IPv4 address has opened, as the kernel tracks them; undefined where it can't be asked: for anybody else
 * (`isFilterable`), without the program socat or the right to, on a kernel before 5.8, or where they are some 10,000, which are sooner found in
 * `/proc`. Never rejects.
 */
export type FilteredDump = (source: Network) => Promise<readonly TrackedConnection[] | undefined>;

/** Has the kernel itself pick the connections of an address. */
export function createFilteredDump(options: NetlinkSocketOptions = {}): FilteredDump {
  const socket = createNetlinkSocket(options);
  /** A kernel that does not filter never will. */
  let filters = true;
  return async (source) => {
    if (!filters || !isFilterable(source)) return undefined;
    let connections: readonly TrackedConnection[] = [];
    const outcome = await socket.ask((sequence) => {
      const answer = createDumpAnswer(source, sequence);
      connections = answer.connections;
      return { request: dumpRequest(source, sequence), take: answer.take };
    });
    filters &&= outcome !== "unfiltered";
    return outcome === "done" ? connections : undefined;
  };
}
