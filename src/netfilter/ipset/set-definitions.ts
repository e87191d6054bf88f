import type { Family } from "../../domain/network.ts";
import type { Policy } from "../../domain/policy.ts";
import { type BanHome, banHomeName } from "../bans/ban-home.ts";
import { graceSetName, offenderListOf, offenderSetName, operatorName } from "../bans/names.ts";
import { shapeOf } from "./saved-sets.ts";

/** A set that this service needs. */
export interface SetDefinition {
  readonly name: string;
  /** The words after `create NAME`. */
  readonly words: string;
  readonly shape: string;
}

/** Entries that a set of bans has room for. */
export const banCapacity = 262_144;
const offenderCapacity = 65_536;
/**
 * Hash buckets at the start. The kernel makes a set larger only when a program adds to it: what a packet adds to a full bucket is
 * dropped silently, so that sets that packets write to begin large enough: those that all policies share larger than those of one policy. A bucket costs 8 bytes and holds 12 entries.
 */
const buckets = { operators: 64, hostBans: 65_536, portsBans: 4096, offenders: 1024 } as const;

/** The sets of one family, given the homes that hold or take bans. */
export function setDefinitions(family: Family, policies: readonly Policy[], homes: readonly BanHome[]): readonly SetDefinition[] {
  const full = family === 4 ? 32 : 128;
  const inet = family === 4 ? "inet" : "inet6";
  const define = (name: string, type: string, capacity: number, hashsize: number, prefix = full): SetDefinition => {
    const netmask = prefix < full ? ` netmask ${prefix}` : "";
    const words = `${type} family ${inet}${netmask} hashsize ${hashsize} maxelem ${capacity} timeout 0`;
    return { name, words, shape: shapeOf(words) };
  };
  const watched = policies.filter((policy) => policy.mode !== "off").map((policy) => offenderListOf(policy, family));
  return [
    define(operatorName(family), "hash:net", banCapacity, buckets.operators),
    define(graceSetName(family), "hash:net", offenderCapacity, buckets.operators),
    ...homes
      .filter((home) => home.storage === "ipset")
      .map((home) =>
        define(
          banHomeName(home),
          "hash:ip",
          banCapacity,
          home.scope === "host" ? buckets.hostBans : buckets.portsBans,
          home.prefix,
        ),
      ),
    ...watched.map((list) => define(offenderSetName(list), "hash:ip", offenderCapacity, buckets.offenders, list.prefix)),
  ];
}
