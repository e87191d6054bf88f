import type { CommandResult, RunCommand } from "../../src/netfilter/command/run.ts";
import type { OpenSession, SessionAnswer } from "../../src/netfilter/command/session.ts";
import type { Invocation } from "./simulated-iptables.ts";

/**
 * Sessions with the programs of a simulated kernel.
 * @param run runs the program for one request alone
 * @param onAsk gets each request as it is sent
 * @param onPrepare gets the name of each program that is started ahead
 */
export function simulatedSessions(
  run: RunCommand,
  onAsk: (invocation: Invocation) => void = () => undefined,
  onPrepare: (file: string) => void = () => undefined,
): OpenSession {
  return (file, args, { prompting } = {}) => ({
    ask: async (input, _mark, manner): Promise<SessionAnswer> => {
      // A request waits for its turn.
      await undefined;
      onAsk({ file, args, input: `${input}${prompting?.flush ?? ""}` });
      manner?.onSent?.();
      const { end, output } = await answerTo(run, { file, args, input });
      return end.exitCode === 0 ? { answered: true, output, errors: end.stderr } : { answered: false, end };
    },
    prepare: () => onPrepare(file),
    discard: () => {},
  });
}

const version = "ipset v7.17, protocol version: 7\n";

/** Programs of a simulated kernel whose output goes into a file; `ipset -` is asked to save what there is. */
export function simulatedFileRun(run: RunCommand): RunCommand {
  return async (file, args, input) => {
    if (file !== "ipset") return run(file, args, input);
    const result = await run(file, ["save"]);
    return { ...result, stdout: `ipset> ${version}ipset> ${result.stdout}ipset> ipset> ${version}ipset> ` };
  };
}

async function answerTo(run: RunCommand, { file, args, input = "" }: Invocation) {
  if (file === "ipset") {
    const end = await (args[0] === "-"
      ? run(file, /^version\n(.+)\nversion\n$/.exec(input)?.[1]?.split(" ") ?? [])
      : run(file, args, input.replace(/^COMMIT\nlist -name .*\n/m, "")));
    return { end, output: end.stdout };
  }
  const questions = [...input.matchAll(/^-S(?: (\S+))?$/gm)].map(([, chain]) => chain);
  if (questions.length === 0) {
    const words = args.filter((word) => word !== "-v").map((word) => (word === "60" ? "1" : word));
    const end = await run(file, words, input.replace(/^# cld .*\n/m, ""));
    return { end, output: end.stdout };
  }
  const save = file.replace(/restore$/, "save");
  if (!input.startsWith("*filter\n")) {
    const end = await run(save, []);
    return { end, output: tablesOf(end.stdout, input) };
  }
  const end = await run(save, ["-t", "filter"]);
  const all = listing(end.stdout);
  const chains = new Set(questions.filter((chain) => chain !== undefined));
  if (chains.size === 0) return { end, output: all };
  const isThere = (chain: string): boolean => all.includes(`-N ${chain}\n`) || all.includes(`-P ${chain} `);
  return [...chains].every(isThere) ? { end, output: ofChains(all, chains) } : { end: noChain, output: "" };
}

/** How the program ends that is asked about a chain that is not there. */
const noChain: CommandResult = { exitCode: 1, stdout: "", stderr: "iptables-restore: line 2 failed\n" };

/** What `iptables -S` prints where `iptables-save` prints `text`. */
function listing(text: string): string {
  return text
    .replace(/^(#.*|\*filter|COMMIT)\n/gm, "")
    .replace(/^:(\S+) - .*$/gm, "-N $1")
    .replace(/^:(\S+) (\S+) .*$/gm, "-P $1 $2");
}

/** What several `-S`, each with a comment that has the table's name above it, print where `iptables-save` prints `text`. */
function tablesOf(text: string, input: string): string {
  const sections = text.split(/^(?=\*)/m).filter((section) => input.includes(section.slice(0, section.indexOf("\n") + 1)));
  const heading = /^# cld \w+ /.exec(input)?.[0] ?? "";
  return sections.map((section) => `${heading}${section.slice(1)}`).join("");
}

function ofChains(listed: string, chains: ReadonlySet<string>): string {
  const lines = listed.split("\n").filter((line) => chains.has(line.split(" ")[1] ?? ""));
  return lines.map((line) => `${line}\n`).join("");
}
