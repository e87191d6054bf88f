import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import packageJson from "../package.json" with { type: "json" };
import { root } from "./support/service.ts";

interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
}

const { "": project, ...others } = JSON.parse(read("package-lock.json")).packages as Readonly<Record<string, LockedPackage>>;
const locked = Object.entries(others);
const direct = { ...packageJson.dependencies, ...packageJson.optionalDependencies, ...packageJson.devDependencies };

function read(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

test("every package has a SHA-512 in the lock file, those for other systems too", () => {
  assert.ok(locked.length > 50);
  for (const [path, { integrity }] of locked) assert.match(integrity ?? "", /^sha512-[A-Za-z0-9+/]{86}==$/, path);
});

test("every package comes from the registry, and under the version that package.json asks for", () => {
  for (const [path, { link, resolved }] of locked) {
    assert.equal(link, undefined, path);
    if (resolved !== undefined) assert.match(resolved, /^https:\/\/registry\.npmjs\.org\//, path);
  }
  for (const [name, version] of Object.entries(direct)) {
    assert.match(version, /^\d+\.\d+\.\d+$/, `${name} is not pinned`);
    assert.equal(others[`node_modules/${name}`]?.version, version);
  }
  assert.equal(project?.version, packageJson.version);
});

test("no package brings a script that would run at its installation, and each installation would ignore it", () => {
  assert.deepEqual(
    locked.filter(([, { hasInstallScript }]) => hasInstallScript).map(([path]) => path),
    [],
  );
  assert.match(read(".npmrc"), /^ignore-scripts=true$/m);
  const commands = ["README.md", "CONTRIBUTING.md", "Dockerfile", "scripts/setup.sh"].flatMap((path) =>
    read(path)
      .split("\n")
      .filter((line) => /^\s*(RUN )?npm (ci|i|install)\b/.test(line)),
  );
  assert.ok(commands.length >= 2);
  for (const command of commands) assert.match(command, /npm ci .*--ignore-scripts/);
  const own = Object.keys(packageJson.scripts).filter((name) => /^(pre|post)|^(install|prepare|dependencies)$/.test(name));
  assert.deepEqual(own, []);
});

test("every dependency stands once in the decision record that says why it is here, and nothing else does", () => {
  const rows = read("docs/decisions/0002-few-dependencies.md").matchAll(/^\| (?!package |---)([^|]+) \| ([^|]+) \|$/gm);
  const named = [...rows].flatMap(([, names = "", reason = ""]) => {
    assert.ok(reason.length > 10, names);
    return names.split(", ");
  });
  assert.deepEqual(named.toSorted(), Object.keys(direct).sort());
});
