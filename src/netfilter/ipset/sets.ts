import { setTimeout } from "node:timers/promises";
import { EnforcementDelayed } from "../../domain/ports.ts";
import { inTurns, type Steps } from "../../domain/steps.ts";
import { operatorName } from "../bans/names.ts";
import { createPromptedAnswer } from "../command/answers.ts";
import type { CommandResult, RunCommand } from "../command/run.ts";
import type { OpenSession, Session } from "../command/session.ts";
import { parseSavedSets, parseSetNumbers, type SavedSet, SetOutputError, startOfText } from "./saved-sets.ts";

/** The only way to ipset. */
export interface IpSets {
  /** Null where ipset works; otherwise why it does not, with the remedy. @throws {EnforcementDelayed} when that can't be told now */
  unavailable(): Promise<string | null>;
  /** This service's own sets with their entries. @throws {EnforcementDelayed} when they can't be read now */
  read(): Promise<Map<string, SavedSet>>;
  /** How many entries each of them has: cheap, however many those are. @throws {EnforcementDelayed} */
  sizes(): Promise<ReadonlyMap<string, number>>;
  /** Runs the lines in one process; a line that fails stops those after it. @throws {EnforcementDelayed} */
  restore(lines: readonly string[]): Promise<void>;
  /** Starts what will run lines soon. */
  prepare(): void;
  /** Destroys the sets; the result names those that others keep, by rules as a rule. @throws {EnforcementDelayed} when ipset fails otherwise */
  destroy(names: readonly string[]): Promise<readonly string[]>;
}

const remedy = "install Debian's package ipset, and load the modules ip_set, ip_set_hash_net, ip_set_hash_ip and xt_set";

/** What ipset can say although it does its work: that its version and the kernel's are not the same, for one. */
const harmless = /^(Warning: .*)?$/;

/**
 * Milliseconds before each further look at sets that some rule holds: nftables frees what a rule held some time after it has answered that
 * the rule is removed. What is held longer is held by somebody else as a rule.
 */
const releasePauses = [10, 20, 40, 80, 160];
/** Milliseconds in which most lists of a set are over. */
const dumpPause = 100;

/** The name of a set that is always there once there are sets of ours: listing it tells that all before it is done. */
const mark = operatorName(4);

/**
 * What `ipset -`, which takes commands as from a person, prints before each of them, and what makes it print some blocks; each help has 5,000
 * characters with ipset 7.17.
 */
const prompting = { prompt: "ipset> ", flush: "help\nhelp\nhelp\n" };
/** It tells its version when all before it is done. */
const between = (question: string): string => `version\n${question}\nversion\n`;
const greeting = { text: "version\nversion\n", mark: /ipset v\S+, protocol version: \d+/ };

export interface IpSetsOptions {
  readonly run: RunCommand;
  /** Runs one whose output is long and not to be waited for by it; without it the first reading is by `run`. */
  readonly runIntoFile?: RunCommand;
  /** Sessions with ipset; without them, and where they do not answer, each request starts a program. */
  readonly open?: OpenSession;
  /** Whether a set is free as soon as the last rule that named it is gone, as on the legacy backend. */
  readonly releasedAtOnce?: boolean;
  /** Waits for so many milliseconds. */
  readonly wait?: (milliseconds: number) => Promise<unknown>;
}

export function createIpSets({ run, runIntoFile, open, releasedAtOnce = false, wait = setTimeout }: IpSetsOptions): IpSets {
  const session = open?.("ipset", ["restore", "-exist"]);
  // Not the same: `restore` would print the names alone after it was asked for one.
  const reader = open?.("ipset", ["-"], { greeting, prompting });
  // Nor this, after it was asked for numbers.
  const counter = open?.("ipset", ["-"], { greeting, prompting });
  const ask = async (args: readonly string[], input?: string): Promise<string> => {
    const result = await (input === undefined ? run("ipset", args) : run("ipset", args, input));
    const silentlyFailed = result.stdout.trim() === "" && !isHarmless(result.stderr);
    if (result.exitCode !== 0 || silentlyFailed) throw new EnforcementDelayed(`ipset ${args[0]} fails: ${said(result)}`);
    return result.stdout;
  };
  const restore: IpSets["restore"] = async (lines) => {
    const answer = await session?.ask([...lines, "COMMIT", `list -name ${mark}`, ""].join("\n"), mark);
    if (answer?.answered === true) {
      const { output, errors } = answer;
      if (output.trim() === "" && isHarmless(errors)) return;
      throw new EnforcementDelayed(`ipset restore goes on and says: ${oneLine(errors || output)}`);
    }
    if (answer?.end.failure === "hung") throw new EnforcementDelayed(`ipset restore fails: ${said(answer.end)}`);
    // Each line may be repeated. What is to be said of one that fails is said by a program that was run for these alone.
    const output = await ask(["restore", "-exist"], `${lines.join("\n")}\n`);
    if (output.trim() !== "") throw new EnforcementDelayed(`ipset restore ends with exit code 0 and says: ${oneLine(output)}`);
  };
  /** What a session says to a question; undefined where it does not. */
  const told = async (asked: Session | undefined, question: string): Promise<string | undefined> => {
    const answer = await asked?.ask(between(question), greeting.mark);
    if (answer?.answered === false && answer.end.failure === "hung")
      throw new EnforcementDelayed(`ipset ${question} fails: ${said(answer.end)}`);
    if (answer?.answered !== true) return undefined;
    if (isHarmless(answer.errors)) return answer.output;
    // After one error it would answer each question with another.
    asked?.discard();
    return undefined;
  };

  /** A start is busy with other things: it would send its question some turns after the program is there, and read the answer piece by piece. */
  let isRead = false;

  const setsIn = (text: string): Promise<Map<string, SavedSet>> => inTurns(readInSteps(text));

  /** What a session saves; undefined where it does not, or nobody knows what it says. */
  const savedBySession = async (): Promise<Map<string, SavedSet> | undefined> => {
    const text = await told(reader, "save");
    return text === undefined ? undefined : setsIn(text).catch(ifUnreadable(() => reader?.discard()));
  };

  /** The same of a program that writes into a file, up to its last word. */
  const savedIntoFile = async (): Promise<Map<string, SavedSet> | undefined> => {
    const result = await runIntoFile?.("ipset", ["-"], between("save"));
    if (result?.failure === "hung") throw new EnforcementDelayed(`ipset save fails: ${said(result)}`);
    if (result?.exitCode !== 0 || !isHarmless(result.stderr)) return undefined;
    const answer = createPromptedAnswer(greeting.mark, prompting);
    answer.take(result.stdout);
    return answer.isWhole() ? setsIn(answer.output()).catch(ifUnreadable(() => undefined)) : undefined;
  };

  const numbers = async (what: Parameters<typeof parseSetNumbers>[1]): Promise<ReadonlyMap<string, number>> =>
    parseSetNumbers((await told(counter, "list -terse")) ?? (await ask(["list", "-terse"])), what);

  /** How many rules hold those of the sets that are there, when no time frees them any more. */
  const holdersOf = async (names: readonly string[]): Promise<ReadonlyMap<string, number>> => {
    const holders = async (): Promise<ReadonlyMap<string, number>> => {
      const references = await numbers("References");
      return new Map(
        names.flatMap((name): [string, number][] => (references.has(name) ? [[name, references.get(name) ?? 0]] : [])),
      );
    };
    let found = await holders();
    for (const pause of releasePauses) {
      if ([...found.values()].every((count) => count === 0)) break;
      await wait(pause);
      found = await holders();
    }
    return found;
  };

  /** Whether all of them could be destroyed. */
  const destroyAll = async (names: readonly string[]): Promise<boolean> => {
    try {
      await restore(names.map((name) => `destroy ${name}`));
      return true;
    } catch (error) {
      return ifDelayed(false)(error);
    }
  };

  /** Destroys sets one by one; the result is those that are in use. */
  const keptOf = async (names: readonly string[]): Promise<readonly string[]> => {
    const kept: string[] = [];
    for (const name of names) {
      const result = await run("ipset", ["destroy", name]);
      if (result.exitCode === 0 || /does not exist/.test(result.stderr)) continue;
      if (!/in use/.test(result.stderr)) throw new EnforcementDelayed(`ipset destroy fails: ${said(result)}`);
      kept.push(name);
    }
    return kept;
  };
  return {
    unavailable: async () => {
      const probed = await run("ipset", ["restore", "-exist"], probe);
      if (probed.exitCode === 0) return null;
      if (probed.failure === "not-found") return `the program ipset is missing: ${remedy}`;
      // Nothing is to be concluded for good from a program that did not come to its end.
      if (probed.exitCode === null) throw new EnforcementDelayed(`ipset restore fails: ${said(probed)}`);
      const result = await run("ipset", ["list", "-n"]);
      if (result.exitCode === null) throw new EnforcementDelayed(`ipset list fails: ${said(result)}`);
      if (result.exitCode === 0) return `ipset has no sets of the types that are needed (${said(probed)}): ${remedy}`;
      return `ipset does not work here (${said(result)}): ${remedy}`;
    },
    read: async () => {
      const found = await (isRead ? savedBySession() : savedIntoFile());
      isRead = true;
      if (found) return found;
      try {
        return await setsIn(await ask(["save"]));
      } catch (error) {
        if (error instanceof SetOutputError) throw new EnforcementDelayed(`ipset save: ${error.message}`);
        throw error;
      }
    },
    sizes: () => numbers("Number of entries"),
    restore,
    prepare: () => session?.prepare(),
    destroy: async (names) => {
      if (releasedAtOnce && (await destroyAll(names))) return [];
      // Where nobody tells who holds them, trying does.
      const unknown = new Map(names.map((name) => [name, 0]));
      const listed = await holdersOf(names).catch(ifDelayed(unknown));
      // That none is there may as well be a list that nobody can read.
      const holders = listed.size === 0 ? unknown : listed;
      const there = [...holders.keys()];
      const free = there.filter((name) => holders.get(name) === 0);
      const isDone = free.length === 0 || (await destroyAll(free));
      let kept: readonly string[] = isDone ? there.filter((name) => !free.includes(name)) : there;
      if (kept.length > 0) kept = await keptOf(kept);
      if (kept.length === 0) return [];
      // Somebody who lists a set keeps it meanwhile too, and is no reference.
      await wait(dumpPause);
      return keptOf(kept);
    },
  };
}

/** For `catch`: undefined where nobody knows what the text says. */
function ifUnreadable(then: () => void): (error: unknown) => undefined {
  return (error) => {
    if (!(error instanceof SetOutputError)) throw error;
    then();
    return undefined;
  };
}

/** For `catch`: `value` where the kernel could not be asked. */
function ifDelayed<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof EnforcementDelayed) return value;
    throw error;
  };
}

/** Makes a set of each type that is needed, and destroys it. */
const probe = [
  ["cld4-probe-net", "hash:net family inet timeout 0"],
  ["cld6-probe-ip", "hash:ip family inet6 netmask 64 timeout 0"],
]
  .map(([name, words]) => `create ${name} ${words}\ndestroy ${name}\n`)
  .join("");

function* readInSteps(text: string): Steps<Map<string, SavedSet>> {
  const [found, place] = [new Map<string, SavedSet>(), startOfText()];
  for (const piece of piecesOf(text)) {
    parseSavedSets(piece, found, place);
    yield;
  }
  // A comment of somebody else's can look like the end of the answer.
  if (place.inComment) throw new SetOutputError("the list of sets ends within a comment");
  return found;
}

/** Characters of `ipset save` that are read in one step: some hundred entries, which take about a millisecond. */
const pieceLength = 16 * 1024;

/** The text in pieces of whole lines. */
function* piecesOf(text: string): Generator<string> {
  for (let start = 0; start < text.length; ) {
    const newline = text.indexOf("\n", start + pieceLength);
    const end = newline < 0 ? text.length : newline + 1;
    yield text.slice(start, end);
    start = end;
  }
}

function isHarmless(errors: string): boolean {
  return errors.split("\n").every((line) => harmless.test(line.trim()));
}

/** Why the program failed, in its own words where it has any. */
function said({ stderr, failure, exitCode }: CommandResult): string {
  if (failure === "not-found") return "the program is missing";
  if (failure === "hung") return "it hangs and was ended";
  return oneLine(stderr) || failure || (exitCode === null ? "it was ended by a signal" : `exit code ${exitCode}`);
}

function oneLine(text: string): string {
  return text.trim().replace(/\s+/g, " ").slice(0, 300);
}
