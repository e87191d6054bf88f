import type { Family } from "../../src/domain/network.ts";
import type { CommandResult, RunCommand } from "../../src/netfilter/command/run.ts";
import { emptyTable, printTable, RestoreError, restoreLines, type TableModel } from "./table-model.ts";

/** What a program can do other than its work. */
export type Fault =
  | "lock held"
  | "refused"
  | "refused by nft"
  | "program missing"
  | "killed"
  | "save prints an error and exits with 0"
  | "save prints half a table"
  | "save fails"
  | "restore keeps other rules"
  | "save uses other words";

/** One run of a program. */
export interface Invocation {
  readonly file: string;
  readonly args: readonly string[];
  readonly input?: string | undefined;
}

/** The filter tables of a host behind `iptables-save` and `iptables-restore`, in memory. */
export interface SimulatedIptables {
  readonly run: RunCommand;
  readonly invocations: readonly Invocation[];
  /** The texts that changed a table, without those of `--test`. */
  restores(family?: Family): readonly string[];
  table(family: Family): TableModel;
  /** Another tool's `iptables-restore --noflush` on the filter table. */
  edit(family: Family, ...lines: readonly string[]): void;
  /** Called by the next restore that succeeds, before its process ends. */
  afterNextRestore(callback: () => void): void;
  /** Called when the next list of a filter table has been made, before its process ends. */
  afterNextSave(callback: () => void): void;
  /** What the other tables (`raw`, `mangle`) of a family print; a table that was not set is not known to the kernel. */
  setOtherTable(family: Family, table: string, ...rules: readonly string[]): void;
  /** How many changes the tables have taken, as nftables counts them. */
  generation(): number;
  /** Whether any rule, of any family, matches or fills this set. */
  namesSet(set: string): boolean;
  /** From now on the programs of `family`, by default of both, do this; `null`: their work. */
  setFault(fault: Fault | null, family?: Family): void;
}

export interface SimulatedIptablesOptions {
  /** Told after each change which xt_recent lists the rules name. */
  readonly onListsNamed?: (names: ReadonlySet<string>) => void;
  /** Whether a set is there; a rule that names another one is refused. */
  readonly hasSet?: (name: string) => boolean;
  /** Whose tables these are; the other backend has none. */
  readonly backend?: "nft" | "legacy";
}

/** Words that say what holds anyway, so that some versions of iptables leave them out. */
const neededByNobody = / --rsource| --connlimit-saddr/g;
const families = [4, 6] as const;

export function createSimulatedIptables({
  onListsNamed,
  hasSet = () => false,
  backend = "nft",
}: SimulatedIptablesOptions = {}): SimulatedIptables {
  const tables: Record<Family, TableModel> = { 4: emptyTable(), 6: emptyTable() };
  const faults: Record<Family, Fault | null> = { 4: null, 6: null };
  const invocations: Invocation[] = [];
  const applied: { readonly family: Family; readonly text: string }[] = [];
  const otherTables = new Map<string, string>();
  let whenRestored: () => void = () => undefined;
  let whenSaved: () => void = () => undefined;
  let generation = 1;

  const allRules = (): readonly string[] =>
    families.flatMap((each) => [...tables[each].values()].flat().map((rule) => rule.text));

  const assertSets = (text: string): void => {
    for (const name of setsNamed(text)) if (!hasSet(name)) throw new RestoreError(`line 2 failed: Set ${name} doesn't exist.`);
  };

  const change = (family: Family, text: string): void => {
    assertSets(text.replaceAll(/^-D .*$/gm, ""));
    tables[family] = restoreLines(tables[family], text);
    generation += 1;
    const texts = allRules();
    onListsNamed?.(new Set(texts.flatMap((each) => [...each.matchAll(/ --name (\S+)/g)].map(([, name]) => name ?? ""))));
  };

  const save = (family: Family): CommandResult => {
    const text = printTable(tables[family]);
    const callback = whenSaved;
    whenSaved = () => undefined;
    callback();
    switch (faults[family]) {
      case "save prints an error and exits with 0":
        return answer(0, "iptables-save v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied\n");
      case "save prints half a table":
        return answer(0, text.slice(0, text.length / 2));
      case "save fails":
        return answer(1, "", "can't open the table\n");
      case "save uses other words":
        return answer(0, text.replaceAll(neededByNobody, ""));
      default:
        return answer(0, text);
    }
  };

  const saveAll = (family: Family): CommandResult => {
    const filter = save(family);
    const others = [...otherTables].flatMap(([key, text]) => (key.startsWith(`${family} `) ? [text] : []));
    return { ...filter, stdout: [...others, filter.stdout].join("") };
  };

  const restore = (family: Family, text: string, onlyTest: boolean): CommandResult => {
    const fault = faults[family];
    if (fault === "lock held")
      return answer(4, "", "Another app is currently holding the xtables lock; waited (1s) for it to exit.\n");
    if (fault === "refused") return answer(1, "", "iptables-restore: line 3 failed\n");
    if (fault === "refused by nft") {
      return answer(
        4,
        "",
        "iptables-nft-restore v1.8.9 (nf_tables): \nline 2: RULE_APPEND failed (Invalid argument): rule in chain INPUT\n",
      );
    }
    try {
      if (onlyTest) {
        assertSets(text);
        restoreLines(tables[family], text);
      } else {
        change(family, fault === "restore keeps other rules" ? text.replace(/cld:[0-9a-f]+/, "cld:0") : text);
        applied.push({ family, text });
        const callback = whenRestored;
        whenRestored = () => undefined;
        callback();
      }
      return answer(0, "");
    } catch (error) {
      if (error instanceof RestoreError) return answer(1, "", `iptables-restore: ${error.message}\n`);
      throw error;
    }
  };

  return {
    invocations,
    restores: (family) => applied.filter((one) => family === undefined || one.family === family).map((one) => one.text),
    table: (family) => tables[family],
    generation: () => generation,
    namesSet: (set) => allRules().some((text) => setsNamed(text).includes(set)),
    setOtherTable: (family, table, ...rules) => {
      otherTables.set(
        `${family} ${table}`,
        `*${table}\n:PREROUTING ACCEPT [0:0]\n${rules.map((rule) => `${rule}\n`).join("")}COMMIT\n`,
      );
    },
    edit: (family, ...lines) => change(family, ["*filter", ...lines, "COMMIT", ""].join("\n")),
    afterNextRestore: (callback) => {
      whenRestored = callback;
    },
    afterNextSave: (callback) => {
      whenSaved = callback;
    },
    setFault: (fault, family) => {
      for (const each of families) if (family === undefined || family === each) faults[each] = fault;
    },
    run: async (file, args, input) => {
      invocations.push({ file, args, input });
      const [, six, kind, action] = /^ip(6?)tables-(nft|legacy)-(save|restore)$/.exec(file) ?? [];
      if (action === undefined) return answer(127, "", `no such program in this simulation: ${file}`);
      if (kind !== backend) return answer(0, "");
      const family = six === "6" ? 6 : 4;
      if (faults[family] === "program missing") return { exitCode: null, stdout: "", stderr: "", failure: "not-found" };
      if (faults[family] === "killed") return { exitCode: null, stdout: "", stderr: "" };
      if (action === "save") return args.includes("-t") ? save(family) : saveAll(family);
      return restore(family, input ?? "", args.includes("--test"));
    },
  };
}

function setsNamed(text: string): readonly string[] {
  return [...text.matchAll(/ --(?:match|add)-set (\S+)/g)].map(([, name]) => name ?? "");
}

function answer(exitCode: number, stdout: string, stderr = ""): CommandResult {
  return { exitCode, stdout, stderr };
}
