import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { CommandResult, RunCommand } from "../../../src/netfilter/command/run.ts";
import { type Backend, BackendMissingError, detectBackend, programOf } from "../../../src/netfilter/iptables/backend.ts";

/** A host whose programs say this when asked for their version; others are not there. */
function hostWith(versions: Readonly<Record<string, string>>): RunCommand {
  return async (file, args): Promise<CommandResult> => {
    assert.deepEqual(args, ["--version"]);
    const stdout = versions[file];
    return stdout === undefined
      ? { exitCode: null, stdout: "", stderr: "", failure: "not-found" }
      : { exitCode: 0, stdout: `${stdout}\n`, stderr: "" };
  };
}

function programsOf(backend: "nft" | "legacy"): Record<string, string> {
  const kind = backend === "nft" ? "nf_tables" : "legacy";
  const names = ["iptables", "ip6tables"].flatMap((name) => [`${name}-${backend}-save`, `${name}-${backend}-restore`]);
  return Object.fromEntries(names.map((name) => [name, `${name} v1.8.9 (${kind})`]));
}

async function detected(wanted: Backend | "auto", run: RunCommand): Promise<{ backend: Backend; version: string }> {
  const { backend, version } = await detectBackend(wanted, run, () => true);
  return { backend, version: await version() };
}

const both = { ...programsOf("nft"), ...programsOf("legacy") };

test("each family and backend has its own program", () => {
  assert.deepEqual(
    ([4, 6] as const).flatMap((family) => (["nft", "legacy"] as const).map((backend) => programOf(family, backend))),
    ["iptables-nft", "iptables-legacy", "ip6tables-nft", "ip6tables-legacy"],
  );
});

describe("with 'auto' the backend is the one that iptables on this host is:", () => {
  test("nft", async () => {
    const run = hostWith({ ...both, iptables: "iptables v1.8.9 (nf_tables)" });
    assert.deepEqual(await detected("auto", run), { backend: "nft", version: "1.8.9" });
  });

  test("legacy", async () => {
    const run = hostWith({ ...both, iptables: "iptables v1.8.9 (legacy)" });
    assert.deepEqual(await detected("auto", run), { backend: "legacy", version: "1.8.9" });
  });

  test("an iptables that says neither is an error that names the way out", async () => {
    const run = hostWith({ ...both, iptables: "iptables v1.6.1" });
    await assert.rejects(
      detectBackend("auto", run, () => true),
      (error: Error) => error instanceof BackendMissingError && /"iptables v1\.6\.1".*CONNLIMITD_BACKEND/.test(error.message),
    );
  });

  test("a host without iptables is told which package has it", async () => {
    await assert.rejects(
      detectBackend("auto", hostWith(both), () => true),
      (error: Error) =>
        error instanceof BackendMissingError && /iptables is missing: .*apt-get install iptables/.test(error.message),
    );
  });
});

describe("a backend that is asked for", () => {
  test("is taken without asking what iptables is", async () => {
    assert.deepEqual(await detected("legacy", hostWith(programsOf("legacy"))), { backend: "legacy", version: "1.8.9" });
  });

  test("is an error where any one of its programs is missing", async () => {
    for (const missing of Object.keys(programsOf("nft"))) {
      const isThere = (program: string): boolean => program !== missing;
      await assert.rejects(
        detectBackend("nft", hostWith(both), isThere),
        (error: Error) => error instanceof BackendMissingError && error.message.startsWith(`the program ${missing} is missing`),
      );
    }
  });
});
