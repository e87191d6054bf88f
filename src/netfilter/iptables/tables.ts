import { randomBytes } from "node:crypto";
import { DomainError } from "../../domain/errors.ts";
import type { Family } from "../../domain/network.ts";
import { EnforcementDelayed } from "../../domain/ports.ts";
import { blockSize, type CommandResult, type RunCommand } from "../command/run.ts";
import type { AskManner, OpenSession, Session } from "../command/session.ts";
import { type Backend, legacyTables, programOf } from "./backend.ts";
import { assertAnswered, assertNoFault, harmless, incompatible, isHarmless, oneLine, said } from "./program-answers.ts";
import {
  parseListedBeside,
  parseListedTable,
  parseRulesByTable,
  parseSavedBeside,
  parseSavedTable,
  type SavedTable,
  SaveOutputError,
} from "./saved-table.ts";
import type { KnownChains } from "./standing-chains.ts";
import { areSame } from "./table-diff.ts";

/** The filter table of one family. */
export interface FilterTable {
  /** @throws {EnforcementDelayed} when the list can't be had now */
  read(manner?: ReadingManner): Promise<SavedTable>;
  /** The last list that is sure to be whole; none behind a change of this service's own. */
  listing(): Listing | undefined;
  /**
   * Whether `INPUT` and those of the chains that were there before are still as they were; a few chains are listed in milliseconds, thousands
   * of rules are not. False as well where that can't be told sooner than by reading the table. @throws {EnforcementDelayed}
   */
  isStill(before: SavedTable, chains: readonly string[]): Promise<boolean>;
  /**
   * What a table that was read before is after it has taken the lines: the chains that they change are read again.
   * @param manner asked for where the whole table is read
   * @throws {EnforcementDelayed}
   */
  readAfter(before: SavedTable, lines: readonly string[], manner?: () => Promise<ReadingManner>): Promise<SavedTable>;
  /** The rules of the tables that see a packet before this one, by the table's name, as `iptables-save` prints them. @throws {EnforcementDelayed} */
  readEarlier(): Promise<ReadonlyMap<string, readonly string[]>>;
  /** Asks whether the lines would be accepted. @throws {DomainError} `kernel-refused` @throws {EnforcementDelayed} */
  test(lines: readonly string[]): Promise<void>;
  /** Starts what will be asked soon. */
  prepare(): void;
  /** Begins the next reading: what the table holds now. Resolves when that has begun. */
  readSoon(): Promise<void>;
  /** Applies the lines, all or none. @param onSent called when a session has them @throws {DomainError} `kernel-refused` @throws {EnforcementDelayed} */
  apply(lines: readonly string[], onSent?: () => void): Promise<void>;
}

/** What can spare a reading, most of which is to look at thousands of lines that are as they were. */
export interface ReadingManner {
  /** Tells the chains that need no closer look where they are so; asked when the list is there. */
  readonly known?: () => KnownChains | null;
  /** Called when a program is at work at the list. */
  readonly onAsked?: () => void;
  /** The table as it was: where the list has the same words as then, or nothing has changed since, it is this very object. */
  readonly before?: SavedTable | undefined;
  /** What `Generation` tells, asked for before; a table that was listed at the same one is not listed again. */
  readonly generation?: number | undefined;
  /** Lists it all the same. */
  readonly isFresh?: boolean;
  /** What the table is known to be listed as. */
  readonly listing?: string | undefined;
}

/** What a table was listed as, and what `Generation` told before that. */
export interface Listing {
  readonly text: string;
  readonly generation: number;
}

/** Sessions, and what one has to know before it is asked. */
export interface TableSessions {
  readonly open: OpenSession;
  /** Runs what is begun before it is asked for; without it, a reading that will be asked for soon is left to a session. */
  readonly runIntoFile?: RunCommand;
  /** Whether some program holds the lock of the legacy backend. */
  lockHeld(): Promise<boolean>;
}

/** A refusal names the line of the text that is not accepted; whatever else a program says when it fails is about the host. */
const refusal = /\bline:? ?\d/;
/** How often, and after how many milliseconds, a test looks whether the lock is free; others hold it for some milliseconds as a rule. */
const [lockLooks, lockLookInterval] = [15, 20];
/** The last words of a save. */
const savedToEnd = /\nCOMMIT\n# Completed on .*\n$/;
/** Seconds that iptables waits for the legacy lock before it gives up. */
const lockWait = "1";
/** The same in a session, whose listings take the lock too. iptables 1.8.9 takes the alarm that it sets for it for the end of its input, whether it has got the lock or not. */
const sessionLockWait = "60";

/**
 * @param sessions with iptables-restore, for what is asked again and again; without them each request starts a program. So does one
 * that a session does not answer: what is to be said of a failure is said by a program that was run for it alone.
 */
export function createFilterTable(family: Family, backend: Backend, run: RunCommand, sessions?: TableSessions): FilterTable {
  const program = programOf(family, backend);
  const [restoreName, saveName] = [`${program}-restore`, `${program}-save`];
  const restoreArgs = ["--noflush", "-w", lockWait];
  const [restoring, testing] = [[], ["--test"]].map((extra) =>
    sessions?.open(restoreName, ["--noflush", "-w", sessionLockWait, "-v", ...extra], { greeting, padding }),
  );
  /** A session waits for the lock without an end, also to read; who starts a program is told, and reads without it. */
  const locked = async (): Promise<boolean> => backend === "legacy" && (await sessions?.lockHeld()) === true;

  const restore = async (
    lines: readonly string[],
    session: Session | undefined,
    extra: readonly string[],
    onSent?: () => void,
  ): Promise<void> => {
    const text = `${lines.join("\n")}\n`;
    const answer = (await locked()) ? undefined : await session?.ask(`${text}${sessionMark}\n`, sessionMark, { onSent });
    if (answer?.answered === true) {
      if (!isHarmless(answer.output, answer.errors))
        throw new EnforcementDelayed(`${restoreName} goes on and says: ${oneLine(answer.errors || answer.output)}`);
      return;
    }
    if (answer !== undefined) assertNoFault(restoreName, answer.end);
    // Whether a program that ends without a word has done its work is seen by the next reading.
    if (answer?.end.exitCode === 0) throw new EnforcementDelayed(`${restoreName} ended before it answered`);
    const result = await run(restoreName, [...restoreArgs, ...extra], text);
    assertAnswered(restoreName, result);
    if (result.exitCode !== 0 && refusal.test(result.stderr))
      throw new DomainError("kernel-refused", `${restoreName} refuses: ${said(result)}`);
    if (result.exitCode !== 0) throw new EnforcementDelayed(`${restoreName} fails: ${said(result)}`);
    // One that has done its work says nothing; whether this one has is seen by the next reading.
    if (!isHarmless(result.stdout, result.stderr))
      throw new EnforcementDelayed(`${restoreName} ends with exit code 0 and says: ${said(result)}`);
  };

  /** What a session answers to questions; undefined where it does not: nothing is in doubt then, and a program is asked. */
  const told = async (
    questions: readonly string[],
    onEnd?: (end: CommandResult) => void,
    manner?: AskManner,
  ): Promise<string | undefined> => {
    if (await locked()) return undefined;
    const answer = await restoring?.ask(`${[...questions, sessionMark].join("\n")}\n`, sessionMark, manner);
    if (answer?.answered === false) onEnd?.(answer.end);
    return answer?.answered === true && isHarmless("", answer.errors) ? answer.output : undefined;
  };

  /** What a session lists of the table, all or some chains; undefined where it does not. */
  const listed = async (chains: readonly string[], onEnd?: (end: CommandResult) => void): Promise<SavedTable | undefined> => {
    const output = await told(["*filter", ...chains.map((chain) => `-S ${chain}`), "COMMIT"], onEnd);
    return output === undefined ? undefined : parseListedTable(output);
  };

  const savedText = async (args: readonly string[], noTable = harmless): Promise<string> => {
    const result = await run(saveName, args);
    assertAnswered(saveName, result);
    // A kernel that has no table yet lists none, but then there is nothing to be said about it either.
    const speaksOfNoTable = !/^\*/m.test(result.stdout) && !isHarmless(result.stdout, result.stderr, noTable);
    if (result.exitCode !== 0 || speaksOfNoTable) throw new EnforcementDelayed(`${saveName} fails: ${said(result)}`);
    return result.stdout;
  };
  const saved = async (known: () => KnownChains | null = () => null, onAsked?: () => void): Promise<SavedTable> => {
    const running = savedText(["-t", "filter"]);
    onAsked?.();
    return savedIn(await running, known());
  };
  const savedIn = (text: string, chains: KnownChains | null): SavedTable =>
    chains === null ? parseSavedTable(text) : parseSavedBeside(text, chains.texts[family], chains.current);
  /** A save that was begun before anybody asked. */
  let begun: Promise<CommandResult> | undefined;
  /** Undefined where there is none, or not the whole of it: then the table is asked for. */
  const readBegun = async ({ known = () => null, onAsked }: ReadingManner): Promise<SavedTable | undefined> => {
    const running = begun;
    begun = undefined;
    if (running === undefined) return undefined;
    onAsked?.();
    const result = await running;
    // It would hang once more.
    if (result.failure === "hung" || result.failure === "timed-out") assertAnswered(saveName, result);
    if (result.exitCode !== 0 || !savedToEnd.test(result.stdout)) return undefined;
    try {
      return savedIn(result.stdout, known());
    } catch (error) {
      if (error instanceof SaveOutputError) return undefined;
      throw error;
    }
  };
  /** The generations at which tables were listed, or one before. */
  const seenAt = new WeakMap<SavedTable, number>();
  let last: Listing | undefined;

  const readNow = async (manner: ReadingManner): Promise<SavedTable> => {
    const { known = () => null, onAsked, before, generation, listing } = manner;
    const early = await readBegun(manner);
    if (early !== undefined) return early;
    const question = ["*filter", "-S", "COMMIT"];
    const output = listing ?? (await told(question, undefined, { onSent: onAsked, expected: before?.listing }));
    last = undefined;
    if (output === undefined) return saved(known, onAsked);
    last = generation === undefined ? undefined : { text: output, generation };
    const chains = known();
    if (chains !== null) return parseListedBeside(output, chains.texts[family], chains.current);
    return before?.listing === output ? before : { ...parseListedTable(output), listing: output };
  };

  const isStill = async (before: SavedTable, chains: readonly string[]): Promise<boolean> => {
    const ours = [...new Set(chains)].filter((chain) => before.own.has(chain));
    if (ours.length > manyChains) return false;
    const now = await listed(["INPUT", ...ours], (end) => {
      // It would hang once more for the whole table.
      if (end.failure === "hung" || end.failure === "timed-out") assertAnswered(restoreName, end);
    });
    if (now === undefined || !areSame(now.input, before.input)) return false;
    return ours.every((chain) => areSame(now.own.get(chain) ?? [], before.own.get(chain) ?? []));
  };

  const read = async (manner: ReadingManner = {}): Promise<SavedTable> => {
    const { before, generation, isFresh = false } = manner;
    const isSame = !isFresh && before !== undefined && generation !== undefined && seenAt.get(before) === generation;
    // That nothing has changed does not tell that anything can be changed: the program is asked for one chain.
    if (isSame && (await isStill(before, []))) return before;
    const table = await readNow(manner);
    // What the kernel has not said itself serves once.
    if (generation !== undefined && manner.listing === undefined) seenAt.set(table, generation);
    return table;
  };

  const legible = async <Result>(reading: () => Promise<Result>): Promise<Result> => {
    try {
      return await reading();
    } catch (error) {
      if (error instanceof SaveOutputError) throw new EnforcementDelayed(`${saveName}: ${error.message}`);
      throw error;
    }
  };
  return {
    read: (manner) => legible(() => read(manner)),
    listing: () => last,
    isStill: (before, chains) => legible(() => isStill(before, chains)),
    readAfter: (before, lines, manner) =>
      legible(async () => {
        if (lines.length === 0) return before;
        const { changed, removed } = chainsIn(lines);
        if (changed.length > manyChains) return read(await manner?.());
        const now = await listed(changed);
        return now === undefined ? saved() : replaced(before, now, removed);
      }),
    readEarlier: async () => {
      const names = earlierTables.filter((name) => backend === "nft" || legacyTables(family).includes(name));
      if (names.length === 0) return new Map();
      const questions = names.flatMap((name) => [`${sessionMark} ${name}`, `*${name}`, "-S", "COMMIT"]);
      const output = await told(questions);
      const found =
        output === undefined
          ? parseRulesByTable(await savedText([], incompatible), "*")
          : parseRulesByTable(output, `${sessionMark} `);
      return new Map(names.map((name) => [name, found.get(name) ?? []]));
    },
    test: async (lines) => {
      for (let look = 0; look < lockLooks && (await locked()); look += 1)
        await new Promise((resolve) => setTimeout(resolve, lockLookInterval));
      if (await locked()) throw new EnforcementDelayed(`${restoreName} would have to wait for the lock`);
      await restore(lines, testing, ["--test"]);
    },
    prepare: () => restoring?.prepare(),
    readSoon: async () => {
      const { runIntoFile } = sessions ?? {};
      // Whoever has the lock is about to change something: a session waits for that.
      if (runIntoFile === undefined || (await locked())) return restoring?.prepare();
      begun = runIntoFile(saveName, ["-t", "filter"]);
    },
    apply: (lines, onSent) => {
      last = undefined;
      return restore(lines, restoring, [], onSent);
    },
  };
}

/**
 * iptables-restore repeats a comment when it is verbose, and so tells that all before it is done. Rules of others can hold any text, but
 * not this one.
 */
const sessionMark = `# cld ${randomBytes(8).toString("hex")}`;
const greeting = { text: `${sessionMark}\n`, mark: sessionMark };
/** Another comment. Nothing else that iptables prints has a line like it. */
const padding = { line: `#${"-".repeat(blockSize)}\n`, rest: /^#?-*\n/ };

/** Tables whose rules see a packet before the filter table does. */
const earlierTables = ["raw", "mangle"] as const;

/** So many chains are listed one by one; the whole table is listed as soon as more. */
const manyChains = 64;

/** The chains that lines for a restore change, and those that they remove. */
export function chainsIn(lines: readonly string[]): {
  readonly changed: readonly string[];
  readonly removed: ReadonlySet<string>;
} {
  const [changed, removed] = [new Set<string>(), new Set<string>()];
  for (const line of lines) {
    const [, option, chain] = /^(:|-[A-Z] )(\S+)/.exec(line) ?? [];
    if (chain !== undefined) (option === "-X " ? removed : changed).add(chain);
  }
  return { changed: [...changed].filter((chain) => !removed.has(chain)), removed };
}

/** The table with some chains as they are now, and without those that are gone. */
function replaced(before: SavedTable, now: SavedTable, removed: ReadonlySet<string>): SavedTable {
  const kept = [...before.own].filter(([chain]) => !removed.has(chain));
  const input = now.input.length > 0 ? now.input : before.input;
  return { ...before, own: new Map([...kept, ...now.own]), input, listing: undefined };
}
