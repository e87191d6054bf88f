import type { KernelBan } from "../domain/ban.ts";
import { policyNamed } from "../domain/policy.ts";
import type { Desired } from "../domain/ports.ts";
import { type BanHome, banHomeName, banHomeOf, heldHomeOf, parseBanHomeName } from "./bans/ban-home.ts";
import { type LedgerBan, standingCauses } from "./bans/ban-ledger.ts";
import { withoutPrefix } from "./bans/reading.ts";
import type { ListWrite } from "./bans/timed-entries.ts";
import type { Return } from "./plan.ts";
import type { Actual } from "./planning.ts";

/**
 * Where each lost ban is put back: a set takes the time that is left, a list needs one whose entries the service ends. Those that
 * run longest come first; where a list is full, the rest stays lost.
 */
export function returnsOf(
  desired: Desired,
  { running, now, sets, lists }: Pick<Actual, "running" | "now" | "sets" | "lists">,
): readonly Return[] {
  const worthIt = running.filter((ban) => ban.expiresAt - now >= 1000).sort((a, b) => b.expiresAt - a.expiresAt);
  const room = new Map<string, number>();
  return worthIt.flatMap((ban) => {
    const present = homeOf(ban, desired);
    const better = present && betterHome(ban, present, desired, sets !== null);
    const before = better ?? present;
    if (before === undefined || (ban.present && better === undefined)) return [];
    const home = heldHomeOf(before, sets !== null);
    if (home.storage === "ipset") return [{ ban, home }];
    const name = banHomeName(home);
    const left = room.get(name) ?? lists.capacity() - (lists.read(name)?.length ?? 0);
    room.set(name, left - 1);
    return left > 0 ? [{ ban, home }] : [];
  });
}

/** A home with other exemptions, when those of the ban's policy have changed since it was made. */
function betterHome(ban: LedgerBan, home: BanHome, desired: Desired, withSets: boolean): BanHome | undefined {
  for (const name of standingCauses(ban, desired.policies)) {
    const policy = policyNamed(desired.policies, name);
    const own = policy && banHomeOf(policy, home.family, withSets);
    const alike = own?.scope === home.scope && own.prefix === home.prefix && own.storage === home.storage;
    if (!alike || own.exemptions === home.exemptions) continue;
    const better = { ...home, exemptions: own.exemptions };
    if (banHomeName(better) !== ban.home) return better;
  }
  return undefined;
}

/** The homes that rules have to look at although no policy writes to them any more. */
export function retiredHomes(running: readonly LedgerBan[], returns: readonly Return[], desired: Desired): readonly BanHome[] {
  const moved = new Set(returns.map(({ ban }) => ban));
  const staying = running.filter((ban) => !moved.has(ban)).flatMap((ban) => homeOf(ban, desired) ?? []);
  const homes = [...staying, ...returns.map(({ home }) => home)];
  return [...new Map(homes.map((home) => [banHomeName(home), home])).values()];
}

/** What puts a lost ban into its new home. */
export function putBack(
  ban: KernelBan,
  home: BanHome,
  now: number,
): { readonly ipset: readonly string[]; readonly recent: readonly ListWrite[] } {
  const [name, address] = [banHomeName(home), withoutPrefix(ban.address)];
  if (home.storage === "recent") return { ipset: [], recent: [{ list: name, write: `+${address}` }] };
  return { ipset: [`add ${name} ${address} timeout ${Math.floor((ban.expiresAt - now) / 1000)}`], recent: [] };
}

/** Takes a ban out of the home in which it stands now. */
export function takeOut(
  ban: KernelBan,
  sets: Actual["sets"],
): { readonly ipset: readonly string[]; readonly recent: readonly ListWrite[] } {
  const address = withoutPrefix(ban.address);
  if (sets?.has(ban.home)) return { ipset: [`del ${ban.home} ${address}`], recent: [] };
  return { ipset: [], recent: [{ list: ban.home, write: `-${address}` }] };
}

function homeOf(ban: KernelBan, desired: Desired): BanHome | undefined {
  return parseBanHomeName("recent", ban.home, desired.policies) ?? parseBanHomeName("ipset", ban.home, desired.policies);
}
