// Small damage to what is the service's own, as a careless admin or another tool does it.
import {
  type Backend,
  type Family,
  families,
  iptables,
  readList,
  readSets,
  restore,
  save,
  writeList,
} from "../support/kernel.ts";
import type { Network } from "../support/namespaces.ts";
import type { Random } from "../support/random.ts";

/** Where the damage is done. */
export interface Victim {
  readonly network: Network;
  readonly backend: Backend;
  readonly withoutIpset: boolean;
}

/** One kind of damage. */
export interface Vandal {
  readonly name: string;
  /** Resolves with what it did, in words; undefined when there was nothing to damage. */
  damage(victim: Victim, family: Family, random: Random): Promise<string | undefined>;
}

interface PlacedRule {
  readonly chain: string;
  /** From 1. */
  readonly number: number;
  /** All behind `-A CHAIN`. */
  readonly words: string;
}

const changes: readonly (readonly [RegExp, string])[] = [
  [/-j REJECT.*$/, "-j ACCEPT"],
  [/-j DROP$/, "-j ACCEPT"],
  [/--connlimit-above \d+/, "--connlimit-above 77"],
  [/--seconds \d+/, "--seconds 1"],
  [/-j RETURN$/, "-j DROP"],
  [/-p tcp/, "-p udp"],
  [/--timeout \d+/, "--timeout 1"],
  [/-[jg] CLD-\S+$/, "-j RETURN"],
];

/** Lines of an own chain or list of rules, edited in one transaction. */
const onRule = (name: string, edit: (rule: PlacedRule, random: Random) => readonly string[] | undefined): Vandal => ({
  name,
  async damage({ network, backend }, family, random) {
    const rule = random.pick(await ownRules(network, backend, family));
    const lines = edit(rule, random);
    if (lines === undefined) return undefined;
    await restore(network, backend, family, lines);
    return lines.join("; ");
  },
});

const strangers = { 4: "203.0.113.77", 6: "2001:db8:77::77" } as const;

/** Every kind of damage; those that need ipset come last. */
const vandals: readonly Vandal[] = [
  onRule("a rule deleted", ({ chain, number }) => [`-D ${chain} ${number}`]),
  onRule("a rule changed under its comment", ({ chain, number, words }) => {
    const change = changes.find(([pattern]) => pattern.test(words));
    return change && [`-R ${chain} ${number} ${words.replace(change[0], change[1])}`];
  }),
  onRule("a rule moved to the end", ({ chain, number, words }) => [`-D ${chain} ${number}`, `-A ${chain} ${words}`]),
  onRule("a rule moved to the top", ({ chain, number, words }) =>
    number === 1 ? undefined : [`-D ${chain} ${number}`, `-I ${chain} 1 ${words}`],
  ),
  onRule("a rule doubled", ({ chain, words }, random) => [`-${random.pick(["A", "I"])} ${chain} ${words}`]),
  onRule("a chain emptied", ({ chain }) => (chain === "INPUT" ? undefined : [`-F ${chain}`])),
  onRule("a stranger's rule in our chain", ({ chain, number }) =>
    chain === "INPUT" ? undefined : [`-I ${chain} ${number} -p tcp --dport 9999 -j ACCEPT`],
  ),
  {
    name: "a stranger's rule above our jump",
    async damage({ network, backend }, family) {
      const words = ["-p", "tcp", "--dport", "9999", "-j", "ACCEPT"];
      await iptables(network, backend, family, "-D", "INPUT", ...words).catch(() => undefined);
      await iptables(network, backend, family, "-I", "INPUT", "1", ...words);
      return words.join(" ");
    },
  },
  {
    name: "an unknown chain",
    async damage({ network, backend }, family, random) {
      // A jump to it from a chain of others would be theirs, and keep it alive.
      const lines = random.pick([
        [":CLD-MINE - [0:0]"],
        [":CLD-MINE - [0:0]", "-A CLD-MINE -j ACCEPT", "-A CLD-INPUT -j CLD-MINE"],
      ]);
      await restore(network, backend, family, lines);
      return lines.join("; ");
    },
  },
  {
    name: "an entry taken from the operators' list",
    async damage({ network }, family, random) {
      const list = `cld${family}-operator`;
      const entries = (await readList(network, list)) ?? [];
      if (entries.length === 0) return undefined;
      const { address } = random.pick(entries);
      await writeList(network, list, `-${address}\n`);
      return `${address} from ${list}`;
    },
  },
  {
    name: "an unknown entry in the operators' list",
    async damage({ network }, family) {
      await writeList(network, `cld${family}-operator`, `+${strangers[family]}\n`);
      return strangers[family];
    },
  },
  {
    name: "the operators' list emptied",
    async damage({ network }, family) {
      await writeList(network, `cld${family}-operator`, "/\n");
      return `cld${family}-operator`;
    },
  },
];

const setVandals: readonly Vandal[] = [
  {
    name: "an entry taken from a set",
    damage: ({ network }, family, random) => onSetEntry(network, family, random, (set, address) => ["del", set, address]),
  },
  {
    name: "a timeout shortened",
    damage: ({ network }, family, random) =>
      onSetEntry(network, family, random, (set, address) => ["add", "-exist", set, address, "timeout", "20"]),
  },
  {
    name: "a set emptied",
    damage: ({ network }, family, random) => onSetEntry(network, family, random, (set) => ["flush", set]),
  },
  {
    name: "an unknown entry in the operators' set",
    async damage({ network }, family) {
      await network.exec("host", "ipset", ["add", "-exist", `cld${family}-operator`, strangers[family]]);
      return strangers[family];
    },
  },
  {
    name: "an unknown set",
    async damage({ network }, family) {
      const words = ["create", "-exist", `cld${family}-mine`, "hash:ip", "family", family === 4 ? "inet" : "inet6"];
      await network.exec("host", "ipset", words);
      return words.join(" ");
    },
  },
];

/** The kinds of damage that are possible on this host. */
export function vandalsFor({ withoutIpset }: Pick<Victim, "withoutIpset">): readonly Vandal[] {
  return withoutIpset ? vandals : [...vandals, ...setVandals];
}

/** Does some damage; resolves with what it was. */
export async function vandalise(victim: Victim, random: Random): Promise<string> {
  for (;;) {
    const vandal = random.pick(vandalsFor(victim));
    const { family } = random.pick(families);
    // What an earlier vandal has just broken may be in the way.
    const done = await vandal.damage(victim, family, random).catch(() => undefined);
    if (done !== undefined) return `${vandal.name}, IPv${family}: ${done}`;
  }
}

async function ownRules(network: Network, backend: Backend, family: Family): Promise<readonly PlacedRule[]> {
  const numbers = new Map<string, number>();
  const rules = (await save(network, backend, family)).split("\n").flatMap((line): readonly PlacedRule[] => {
    const [, chain, words] = /^-A (\S+) (.*)$/.exec(line) ?? [];
    if (chain === undefined || words === undefined) return [];
    const number = (numbers.get(chain) ?? 0) + 1;
    numbers.set(chain, number);
    return [{ chain, number, words }];
  });
  return rules.filter(({ chain, words }) => chain.startsWith("CLD-") || words.includes("CLD-"));
}

/** Damages one entry of an own set that holds bans or graces. */
async function onSetEntry(
  network: Network,
  family: Family,
  random: Random,
  words: (set: string, address: string) => readonly string[],
): Promise<string | undefined> {
  const banning = new RegExp(`^cld${family}-(operator|[hp]\\d)`);
  const entries = [...(await readSets(network))].flatMap(([set, members]) =>
    banning.test(set) ? members.map(({ address }) => ({ set, address })) : [],
  );
  if (entries.length === 0) return undefined;
  const { set, address } = random.pick(entries);
  const command = words(set, address);
  await network.exec("host", "ipset", command);
  return command.join(" ");
}
