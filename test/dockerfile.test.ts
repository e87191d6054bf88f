import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync, globSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, matchesGlob } from "node:path";
import { test } from "node:test";
import { docsPage } from "../src/api/openapi/docs-page.ts";
import { loadConfig } from "../src/config.ts";

const root = join(import.meta.dirname, "..");
const instructions = readText("Dockerfile")
  .replaceAll(/^#.*\n/gm, "")
  .replaceAll(/\\\n\s*/g, "")
  .split("\n")
  .filter((line) => line !== "");
const copied = all(/^COPY (?!--from)(.*) \S+$/).flatMap((sources) => sources.split(" "));

function readText(path: string): string {
  return readFileSync(join(root, path), "utf8");
}

/** What the pattern's group matches in each instruction that it matches. */
function all(pattern: RegExp): readonly string[] {
  return instructions.flatMap((line) => pattern.exec(line)?.[1] ?? []);
}

function words(pattern: RegExp): readonly string[] {
  return all(pattern)
    .flatMap((text) => text.split(" "))
    .sort();
}

/** Runs the health check's command line against `port` and resolves with its exit code. */
async function healthCheck(port: number): Promise<number | null> {
  const [, ...parameters]: readonly string[] = JSON.parse(all(/^HEALTHCHECK .*CMD (\[.*\])$/).join());
  const child = execFile(
    process.execPath,
    parameters.map((text) => text.replace(":7306/", `:${port}/`)),
  );
  const [code] = await once(child, "exit");
  return code;
}

test("every path that is copied exists and is let through by .dockerignore", () => {
  assert.ok(copied.includes("src"));
  const admitted = readText(".dockerignore").split("\n");
  for (const path of copied) {
    assert.ok(existsSync(join(root, path)), path);
    assert.ok(admitted.includes(`!${path}`), path);
  }
});

test("the entry point is a file that the image bundles, run without npm or a shell", () => {
  assert.deepEqual(all(/^ENTRYPOINT (.*)$/), ['["node", "--max-semi-space-size=4", "dist/main.js"]']);
  const tunables = /^Environment=(GLIBC_TUNABLES=.*)$/m.exec(readText("deploy/connlimitd.service"))?.[1];
  assert.ok(tunables !== undefined && all(/^ENV (.*)$/).includes(tunables), "the image has the unit's settings of malloc");
  assert.ok(existsSync(join(root, "dist/main.js")));
  const [, removed = ""] = /^sh scripts\/bundle\.sh && rm -r (.*)$/.exec(all(/^RUN (sh .*)$/).join()) ?? [];
  const { packages }: { packages: Record<string, { dev?: boolean }> } = JSON.parse(readText("package-lock.json"));
  const production = Object.entries(packages).flatMap(([path, { dev }]) => (path === "" || dev === true ? [] : [`${path}/`]));
  for (const path of removed.split(" ")) {
    assert.ok(
      production.some((one) => one.startsWith(`${path}/`) || path.startsWith(one)),
      path,
    );
    assert.ok(globSync(path, { cwd: root }).length > 0, path);
  }
  assert.ok(instructions.includes("COPY --from=dependencies /app/dist ./dist"));
});

test("what is removed of the docs page's package is not what the page is made of", async () => {
  const removed = words(/^RUN sh scripts\/bundle\.sh && rm -r (.*)$/m).filter((path) => path.includes("swagger-ui-dist"));
  assert.ok(removed.length > 0);
  const names = [...docsPage.matchAll(/\/docs\/static\/([\w.-]+)/g)].map(([, name = ""]) => name);
  assert.ok(names.length > 5);
  for (const name of [...names, "index.js", "package.json", "LICENSE", "NOTICE"])
    for (const path of removed)
      assert.ok(!matchesGlob(`node_modules/swagger-ui-dist/${name}`, path), `${name} is removed by ${path}`);
});

test("the Debian packages are those that a production setup installs", () => {
  const pairs = /^runtime_programs="(.*)"$/m.exec(readText("scripts/setup.sh"))?.[1]?.split(" ") ?? [];
  assert.deepEqual(words(/--no-install-recommends ([a-z0-9 -]+?) +&&/), pairs.map((pair) => pair.split(":")[1]).sort());
});

test("only production dependencies are installed, without their scripts", () => {
  assert.match(all(/^RUN (npm .*)$/).join(), /^npm ci --omit=dev --ignore-scripts/);
});

test("the state directory is a volume and the health check asks the default listener", () => {
  const { stateDirectory, listeners } = loadConfig({});
  assert.deepEqual(all(/^VOLUME (.*)$/), [stateDirectory]);
  const [listener] = listeners;
  assert.ok(listener?.kind === "tcp");
  assert.match(all(/^HEALTHCHECK .*CMD (.*)$/).join(), new RegExp(`'http://${listener.host}:${listener.port}/readyz'`));
});

test("it is run with a read-only root, the two capabilities and the host's network, and can write where it has to", () => {
  const [, command = ""] = /^(docker run (?:.*\\\n)*.*)$/m.exec(readText("README.md")) ?? [];
  const options = command.replaceAll(/\\\n\s*/g, "").replace("docker run -d --name connlimitd --restart always ", "");
  assert.equal(
    options,
    "--network host --read-only --tmpfs /run --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_RAW " +
      `--security-opt no-new-privileges -v connlimitd-state:${loadConfig({}).stateDirectory} connlimitd`,
  );
  const comment =
    readText("Dockerfile")
      .split("FROM")[0]
      ?.replaceAll(/ \\\n#\s+/g, " ") ?? "";
  assert.ok(comment.includes(`# docker run ${options}\n`), comment);
});

test("the health check passes on 200 and fails on 503 and on a refused connection", async () => {
  let status = 200;
  const asked: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url);
    response.writeHead(status).end();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  assert.equal(await healthCheck(port), 0);
  status = 503;
  assert.notEqual(await healthCheck(port), 0);
  assert.deepEqual(asked, ["/readyz", "/readyz"]);
  server.close();
  server.closeAllConnections();
  await once(server, "close");
  assert.notEqual(await healthCheck(port), 0);
});
