import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { loadConfig } from "../../src/config.ts";
import { withDirectory } from "../support/directories.ts";
import { root } from "../support/service.ts";

const run = promisify(execFile);
const installedAt = "/opt/connlimitd";
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
    const { stdout, stderr } = await run("systemd-analyze", ["verify", copy]);
    assert.equal(stdout + stderr, "");
  });
});

test("the command is the pinned node with the service's entry point, in the directory that the README installs to", () => {
  const [node = "", entry = "", ...rest] = values("ExecStart").join().split(" ");
  assert.deepEqual(rest, []);
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

test("every file in deploy is one that the README or another file of it names", () => {
  const words = [readme, text, readFileSync(join(root, "scripts/setup.sh"), "utf8")].join("\n");
  for (const file of [
    "connlimitd.service",
    "connlimitd.env.example",
    "modules-load.d-connlimitd.conf",
    "modprobe.d-connlimitd.conf",
  ]) {
    assert.ok(existsSync(join(root, "deploy", file)), file);
    assert.ok(words.includes(`deploy/${file}`), file);
  }
});
