import type { RunCommand } from "../../src/netfilter/command/run.ts";
import type { OpenSession, SessionAnswer } from "../../src/netfilter/command/session.ts";
import type { Invocation } from "./simulated-iptables.ts";

/**
 * Sessions with the programs of a simulated kernel.
 * @param run runs the program for one request alone
 * @param onAsk gets each request as it is sent
 */
export function simulatedSessions(run: RunCommand, onAsk: (invocation: Invocation) => void = () => undefined): OpenSession {
  return (file, args) => ({
    ask: async (input): Promise<SessionAnswer> => {
      onAsk({ file, args, input });
      const questions = [...input.matchAll(/^-S(?: (\S+))?$/gm)].map(([, chain]) => chain);
      const lists = questions.length > 0;
      const end = await (lists
        ? run(file.replace(/restore$/, "save"), ["-t", "filter"])
        : run(
            file,
            args.filter((word) => word !== "-v").map((word) => (word === "60" ? "1" : word)),
            input.replace(file === "ipset" ? /^COMMIT\nlist -name .*\n/m : /^# cld .*\n/m, ""),
          ));
      if (end.exitCode !== 0) return { answered: false, end };
      const all = lists ? listing(end.stdout) : end.stdout;
      const output = questions.some((chain) => chain !== undefined) ? ofChains(all, new Set(questions)) : all;
      return { answered: true, output, errors: end.stderr };
    },
  });
}

/** What `iptables -S` prints where `iptables-save` prints `text`. */
function listing(text: string): string {
  return text
    .replace(/^(#.*|\*filter|COMMIT)\n/gm, "")
    .replace(/^:(\S+) - .*$/gm, "-N $1")
    .replace(/^:(\S+) (\S+) .*$/gm, "-P $1 $2");
}

function ofChains(listed: string, chains: ReadonlySet<string | undefined>): string {
  const lines = listed.split("\n").filter((line) => chains.has(line.split(" ")[1]));
  return lines.map((line) => `${line}\n`).join("");
}
