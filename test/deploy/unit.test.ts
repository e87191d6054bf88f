import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { loadConfig } from "../../src/config.ts";
import { withDirectory } from "../support/directories.ts";
import { root } from "../support/service.ts";

const run = promisify(execFile);
const installedAt = "/opt/connlimitd";
const tunables = "glibc.malloc.arena_max=1:glibc.malloc.hugetlb=1:glibc.malloc.top_pad=16777216";
const unitFile = join(root, "deploy/connlimitd.service");
const text = readFileSync(unitFile, "utf8");
const readme = readFileSync(join(root, "README.md"), "utf8");

/** The values of a directive, in their order. */
function values(directive: string): readonly string[] {
  return [...text.matchAll(new RegExp(`^${directive}=(.*)$`, "gm"))].map(([, value = ""]) => value);
}

test("systemd-analyze gives the unit an exposure of 2.0 at most", async () => {
  // The threshold is in tenths; above it the program exits with 1.
  const { stdout } = await run("systemd-analyze", ["security", "--offline=true", "--no-pager", "--threshold=20", unitFile]);
  const [, exposure] = /Overall exposure level for connlimitd\.service: ([0-9.]+) /.exec(stdout) ?? [];
  assert.ok(Number(exposure) <= 2, stdout);
});

test("systemd-analyze finds nothing wrong with the unit, once its files are where it says", async () => {
  await withDirectory(async (directory) => {
    const copy = join(directory, "connlimitd.service");
    await writeFile(copy, text.replaceAll(installedAt, root));
    // Nothing of this machine's own units is looked at. What is wrong is printed; the exit code can be 0 all the same.
    const env = { ...process.env, SYSTEMD_UNIT_PATH: directory };
    const { stdout, stderr } = await run("systemd-analyze", ["verify", copy], { env });
    assert.equal(stdout + stderr, "");
  });
});

test("the command is the pinned node with the service's entry point, in the directory that the README installs to", () => {
  const [node = "", ...words] = values("ExecStart").join().split(" ");
  const entry = words.at(-1) ?? "";
  const start: string = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).scripts.start;
  assert.ok(start.endsWith(` env GLIBC_TUNABLES=${tunables} node ${words.join(" ")}`), "npm start gives Node the same flags");
  assert.ok(values("Environment").includes(`GLIBC_TUNABLES=${tunables}`));
  assert.deepEqual(values("WorkingDirectory"), [installedAt]);
  assert.equal(node, `${installedAt}/node_modules/.bin/node`);
  assert.ok(existsSync(node.replace(installedAt, root)) && existsSync(join(root, entry)));
  assert.match(readme, new RegExp(`^cp -r .* ${installedAt}/$`, "m"));
});

test("it is always started again, without a limit, and watched", () => {
  const directives = ["Type", "NotifyAccess", "Restart", "StartLimitIntervalSec", "WatchdogSec"];
  assert.deepEqual(
    directives.map((directive) => values(directive).join()),
    ["notify", "all", "always", "0", "30"],
  );
});

test("the state directory is the default one, with the mode that the service itself gives it", () => {
  assert.equal(join("/var/lib", values("StateDirectory").join()), loadConfig({}).stateDirectory);
  assert.deepEqual(values("StateDirectoryMode"), ["0700"]);
});

test("it has the capabilities that the container is run with in the README, and no others", () => {
  const unit = values("CapabilityBoundingSet").join().split(" ").sort();
  const container = [...readme.matchAll(/--cap-add (\w+)/g)].map(([, name]) => `CAP_${name}`).sort();
  assert.deepEqual(unit, ["CAP_NET_ADMIN", "CAP_NET_RAW"]);
  assert.deepEqual([...new Set(container)], unit);
  assert.match(readme, /docker run .*(\\\n.*)*--read-only/);
  assert.match(readme, /docker run .*(\\\n.*)*--cap-drop ALL/);
});

test("the README says what each file in deploy is for", () => {
  for (const file of readdirSync(join(root, "deploy"))) assert.ok(readme.includes(`deploy/${file}`), file);
});

test("the modules that are loaded at boot are those of the matches and targets that the rules use", () => {
  const loaded = readFileSync(join(root, "deploy/modules-load.d-connlimitd.conf"), "utf8").split("\n");
  const rules = readFileSync(join(root, "docs/netfilter-rules.md"), "utf8");
  const modules: Readonly<Record<string, string>> = {
    xt_tcp: "xt_tcpudp",
    xt_icmp: "xt_tcpudp",
    xt_REJECT: "ipt_REJECT",
    xt_SET: "xt_set",
  };
  const used = new Set([...rules.matchAll(/ (?:-m|-j) ([a-z]+|REJECT|SET) /g)].map(([, name]) => `xt_${name}`));
  assert.ok(used.has("xt_recent") && used.has("xt_connlimit") && used.has("xt_SET"));
  for (const module of used) assert.ok(loaded.includes(modules[module] ?? module), module);
  for (const [, type = ""] of rules.matchAll(/\b(hash:[a-z]+)\b/g))
    assert.ok(loaded.includes(`ip_set_${type.replace(":", "_")}`), type);
});
