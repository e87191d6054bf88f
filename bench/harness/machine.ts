import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";
import { gunzipSync } from "node:zlib";

/** What the figures were measured on, in one line. */
export function machineLine(): string {
  const [cpu] = cpus();
  return [
    `Linux ${release()}`,
    `HZ=${ticksPerSecond()}`,
    `${cpu?.model.replace(/\s+/g, " ").trim() ?? "unknown processor"} × ${availableParallelism()}`,
    `${Math.round(totalmem() / 2 ** 30)} GB`,
    versionOf("iptables", ["--version"]),
    versionOf("ipset", ["--version"]).replace(/,.*/, ""),
    `Node ${process.version}`,
  ].join(", ");
}

function versionOf(program: string, args: readonly string[]): string {
  return execFileSync(program, args, { encoding: "utf8" }).split("\n")[0]?.trim() ?? program;
}

function ticksPerSecond(): string {
  for (const file of ["/proc/config.gz", `/boot/config-${release()}`]) {
    if (!existsSync(file)) continue;
    const bytes = readFileSync(file);
    const text = (file.endsWith(".gz") ? gunzipSync(bytes) : bytes).toString();
    const found = /^CONFIG_HZ=(\d+)$/m.exec(text)?.[1];
    if (found !== undefined) return found;
  }
  return "?";
}
