import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { eventually } from "./eventually.ts";
import { removeAtExit } from "./leftovers.ts";

/** What systemd would be told: the socket of sd_notify(3). */
export interface NotifySocket {
  readonly path: string;
  /** Every message so far as its assignments, without those by which systemd-notify asks whether the others were read. */
  messages(): readonly (readonly string[])[];
  close(): Promise<void>;
}

/** Node has no datagram sockets of AF_UNIX; perl belongs to every Debian. It ends when its standard input does. */
const receiver = `
  use strict; use Socket; $| = 1;
  socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die $!;
  bind($socket, pack_sockaddr_un($ARGV[0])) or die $!;
  print "bound\\n";
  while (1) {
    my $ready = ""; vec($ready, fileno(STDIN), 1) = 1; vec($ready, fileno($socket), 1) = 1;
    select($ready, undef, undef, undef);
    exit 0 if vec($ready, fileno(STDIN), 1);
    defined recv($socket, my $text, 65536, 0) or die $!;
    $text =~ s/\\n/\\t/g; print "$text\\n";
  }`;

/** Binds a socket in `directory`. */
export async function openNotifySocket(directory: string): Promise<NotifySocket> {
  const path = join(directory, "notify.sock");
  const child = spawn("perl", ["-e", receiver, path], { stdio: ["pipe", "pipe", "inherit"] });
  const takeBack = removeAtExit(() => child.kill("SIGKILL"));
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  await eventually("the notify socket is bound", () => lines.length > 0);
  return {
    path,
    messages: () =>
      lines
        .slice(1)
        .map((line) => line.split("\t").filter(Boolean))
        .filter(([first]) => first !== "BARRIER=1"),
    async close() {
      takeBack();
      child.stdin.end();
      if (child.exitCode === null) await once(child, "exit");
    },
  };
}
