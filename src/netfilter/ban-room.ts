import type { BanRoom } from "../domain/ports.ts";
import { banCapacity } from "./ipset/set-definitions.ts";

/**
 * @param listCapacity entries of one xt_recent list
 * @param withoutSets why there are no ipsets, with the remedy; null where there are
 */
export function banRoomOf(listCapacity: number, withoutSets: string | null): BanRoom {
  if (withoutSets === null) {
    return {
      capacity: listCapacity + banCapacity,
      networks: true,
      remedy: "remove bans that are not needed, or ban networks instead of their addresses",
    };
  }
  const raise = `load xt_recent with a larger ip_list_tot (now ${listCapacity}; see deploy/modprobe.d-connlimitd.conf)`;
  return {
    capacity: listCapacity,
    networks: false,
    remedy: `${withoutSets}; without it, remove bans that are not needed or ${raise}`,
  };
}
