import { createHash } from "node:crypto";
import { printedLines, withoutTexts } from "./printed-lines.ts";
import { chainPrefix, entryChain } from "./rule.ts";
import { commentPrefix } from "./rule-text.ts";
import { type ChainsText, withoutStanding } from "./standing-chains.ts";

/** What `iptables-save -t filter` told: rule texts without `-A CHAIN`, in order. */
export interface SavedTable {
  /** This service's own chains, but for those of `standing`. */
  readonly own: ReadonlyMap<string, readonly string[]>;
  /** The rules of `INPUT`, everybody's. */
  readonly input: readonly string[];
  /** Own chains that rules of others lead to; they can't be removed. */
  readonly referenced: ReadonlySet<string>;
  /** Fingerprint of all that is not this service's: another one says that somebody changed the table. */
  readonly foreign: string;
  /** Policies whose own chains are as they should be, word for word, and are in `own` no more; none where all of the table was read. */
  readonly standing?: ReadonlySet<string>;
  /** The text that lists a table like this one, where it was listed and not changed since. */
  readonly listing?: string | undefined;
}

/** The output of a save command was not a whole table: the program failed, although it may have exited with 0. */
export class SaveOutputError extends Error {
  override readonly name = "SaveOutputError";
}

/**
 * Reads the text of `iptables-save -t filter`.
 * @throws {SaveOutputError} when the text is no whole table, or holds something other than chains and rules
 */
export function parseSavedTable(text: string): SavedTable {
  const lines = chainsAndRules(text);
  // A kernel that has no table yet lists none.
  if (lines.length === 0) return { ...emptyTable(), foreign: "" };
  if (lines[0] !== "*filter") throw new SaveOutputError(`the list of rules can't be read at: ${lines[0]?.slice(0, 200)}`);
  if (lines.at(-1) !== "COMMIT") throw new SaveOutputError("the list of rules ends before its COMMIT");
  return tableOf(lines.slice(1, -1));
}

/**
 * Reads what `iptables -S` lists.
 * @throws {SaveOutputError} when it holds something other than chains and rules
 */
export function parseListedTable(text: string): SavedTable {
  return tableOf(chainsAndRules(text));
}

/**
 * The same without looking closer at the chains of policies that are known. A listing in which a rule takes more than one line is read as a whole:
 * such a line can look like any other.
 * @param current those of the policies whose chains would be the same now
 * @throws {SaveOutputError}
 */
export function parseListedBeside(text: string, known: ChainsText, current: ReadonlySet<string>): SavedTable {
  const { unknown, restored, standing } = withoutStanding(text, known, current);
  if (standing.size === 0 || printedLines(unknown).length !== unknown.split("\n").length) return parseListedTable(text);
  const rest = [...restored.declarations, unknown, ...restored.rules].join("");
  try {
    return { ...parseListedTable(rest), standing };
  } catch (error) {
    if (error instanceof SaveOutputError) return parseListedTable(text);
    throw error;
  }
}

/** The same from the text of `iptables-save -t filter`. @throws {SaveOutputError} */
export function parseSavedBeside(text: string, known: ChainsText, current: ReadonlySet<string>): SavedTable {
  const [begin, end] = [text.indexOf(tableBegin), text.lastIndexOf(tableEnd)];
  const around = [text.slice(0, begin), text.slice(end + tableEnd.length)];
  if (begin < 0 || end < begin || around.some((part) => chainsAndRules(part).length > 0)) return parseSavedTable(text);
  const table = text.slice(begin + tableBegin.length, end + 1);
  const heading = /^(?:[^-].*\n)*/.exec(table)?.[0] ?? "";
  const chains = heading.replace(/^:(\S+) (\S+) \[\d+:\d+\]$/gm, (_, chain: string, policy: string) =>
    policy === "-" ? `-N ${chain}` : `-P ${chain} ${policy}`,
  );
  return parseListedBeside(chains + table.slice(heading.length), known, current);
}

const [tableBegin, tableEnd] = ["*filter\n", "\nCOMMIT\n"];

/** The rules of each table of a text in which a line stands above what a table has: `heading`, and the table's name. */
export function parseRulesByTable(text: string, heading: string): ReadonlyMap<string, readonly string[]> {
  const tables = new Map<string, string[]>();
  let rules: string[] = [];
  for (const line of printedLines(text)) {
    if (line.startsWith(heading)) {
      rules = [];
      tables.set(line.slice(heading.length), rules);
    } else if (line.startsWith("-A ")) rules.push(line);
  }
  return tables;
}

function chainsAndRules(text: string): readonly string[] {
  return printedLines(text).filter((line) => line !== "" && !line.startsWith("#"));
}

function tableOf(lines: readonly string[]): SavedTable {
  const table = emptyTable();
  for (const line of lines) {
    if (line.startsWith("-A ")) {
      const end = line.indexOf(" ", 3);
      addRule(table, line.slice(3, end < 0 ? undefined : end), end < 0 ? "" : line.slice(end + 1));
      continue;
    }
    const [, chain, policy = "-"] = /^(?::|-[NP] )(\S+)(?: (\S+))?/.exec(line) ?? [];
    if (chain === undefined) throw new SaveOutputError(`the list of rules can't be read at: ${line.slice(0, 200)}`);
    if (chain.startsWith(chainPrefix)) table.own.set(chain, []);
    else table.foreign.update(`:${chain} ${policy} `);
  }
  return { ...table, foreign: table.foreign.digest("hex") };
}

function emptyTable() {
  const [own, input, referenced] = [new Map<string, string[]>(), [] as string[], new Set<string>()];
  return { own, input, referenced, foreign: createHash("sha256") };
}

function addRule(table: ReturnType<typeof emptyTable>, chain: string, rule: string): void {
  const own = table.own.get(chain);
  if (own) {
    own.push(rule);
    return;
  }
  if (chain === "INPUT") table.input.push(rule);
  if (chain === "INPUT" && isOwnJump(rule)) return;
  table.foreign.update(`${chain} ${rule}\n`);
  const [, target] = / -[jg] (CLD-\S+)/.exec(` ${withoutTexts(rule)}`) ?? [];
  if (target !== undefined) table.referenced.add(target);
}

/** Some versions of iptables print quotes around it. */
const ownComment = new RegExp(`--comment "?${commentPrefix}`);

/** True for a rule of `INPUT` that is this service's jump, in the right place or not. */
export function isOwnJump(rule: string): boolean {
  return ownComment.test(rule) && rule.endsWith(` -j ${entryChain}`);
}
