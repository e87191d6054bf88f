import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { isRecord } from "../../src/api/requests/schema-words.ts";
import type { Ban } from "../../src/domain/ban.ts";
import { compareNetworks, parseNetwork } from "../../src/domain/network.ts";
import type { BanService } from "../../src/domain/services.ts";
import { createTestServices } from "../support/test-services.ts";
import { type Api, adminToken, assertProblem, listed, nextCursor, startApi } from "./service.ts";

function banOf(address: string): Ban {
  const causes = [{ by: "operator", actor: "ci", reason: "", since: 0, expiresAt: null }] as const;
  return { address, expiresAt: null, enforced: true, causes };
}

/** The service with a list of bans that a test decides about. */
async function startWithBans(t: TestContext): Promise<{ readonly api: Api; setBans(bans: readonly Ban[]): void }> {
  let current: readonly Ban[] = [];
  const bans: BanService = { ...createTestServices(t).bans, list: async () => current };
  return {
    api: await startApi(t, { bans }),
    setBans(value) {
      current = value;
    },
  };
}

function sorted(addresses: Iterable<string>): readonly Ban[] {
  return [...addresses].sort((a, b) => compareNetworks(parseNetwork(a), parseNetwork(b))).map(banOf);
}

async function page(api: Api, limit: number, cursor: string | undefined) {
  const answer = await api.send("GET", `/v1/bans?limit=${limit}${cursor === undefined ? "" : `&cursor=${cursor}`}`);
  const isLast = isRecord(answer.body) && answer.body["nextCursor"] === null;
  return { addresses: listed(answer, "address").map(String), cursor: isLast ? undefined : nextCursor(answer) };
}

/** The addresses of every page of 1000; the answers are not held against the document, which takes long for so many. */
async function walk(api: Api, afterPage: () => void = () => undefined): Promise<readonly string[]> {
  const walked: string[] = [];
  let cursor: unknown;
  do {
    const url = `/v1/bans?limit=1000${typeof cursor === "string" ? `&cursor=${cursor}` : ""}`;
    const { body } = await api.app.inject({ url, headers: { authorization: `Bearer ${adminToken}` } });
    const answer: { readonly items: readonly Ban[]; readonly nextCursor: unknown } = JSON.parse(body);
    for (const { address } of answer.items) walked.push(address);
    assert.ok(walked.length <= 50_000, "the walk ends");
    cursor = answer.nextCursor;
    afterPage();
  } while (cursor !== null);
  return walked;
}

const someAddress = fc.oneof(
  fc.integer({ min: 0, max: 60 }).map((host) => `203.0.113.${host}`),
  fc.integer({ min: 1, max: 20 }).map((host) => `2001:db8::${host.toString(16)}`),
  fc.integer({ min: 1, max: 7 }).map((bits) => `203.0.113.0/${24 + bits}`),
  fc.integer({ min: 1, max: 30 }).map((bits) => `2001:db8::/${32 + bits}`),
);

const change = fc.record({ added: fc.array(someAddress, { maxLength: 6 }), removed: fc.array(someAddress, { maxLength: 6 }) });

test("a walk over pages has every ban that stays once, in order, whatever comes and goes meanwhile", async (t) => {
  const { api, setBans } = await startWithBans(t);
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(someAddress, { maxLength: 40 }),
      fc.array(change, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 9 }),
      async (first, changes, limit) => {
        const present = new Set(first);
        const stayed = new Set(first);
        const ever = new Set(first);
        const walked: string[] = [];
        let cursor: string | undefined;
        for (let round = 0; round === 0 || cursor !== undefined; round += 1) {
          setBans(sorted(present));
          const answer = await page(api, limit, cursor);
          walked.push(...answer.addresses);
          cursor = answer.cursor;
          assert.equal(new Set(walked).size, walked.length, "none twice");
          // The changes end at some time, so that the walk does.
          const { added = [], removed = [] } = changes[round] ?? {};
          for (const address of removed) if (present.delete(address)) stayed.delete(address);
          for (const address of added) ever.add(address) && present.add(address);
        }
        assert.deepEqual(
          walked,
          sorted(new Set(walked)).map(({ address }) => address),
          "in order",
        );
        for (const address of stayed) assert.ok(walked.includes(address), `${address} was there all the time`);
        for (const address of walked) assert.ok(ever.has(address));
      },
    ),
    { numRuns: 60 },
  );
});

test("50,000 bans are walked page by page, and a page looks at little more than what it shows", async (t) => {
  const { api, setBans } = await startWithBans(t);
  let looks = 0;
  const addresses = Array.from({ length: 50_000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
  setBans(
    addresses.map((address) => ({
      ...banOf(address),
      get address() {
        looks += 1;
        return address;
      },
    })),
  );
  const walked = await walk(api, () => {
    assert.ok(looks <= 1000 + 20, `${looks} looks`);
    looks = 0;
  });
  assert.ok(walked.join() === addresses.join(), "every one, in order");
});

test("50,000 real bans are put in batches, narrowed by filters, and walked to the end", async (t) => {
  const api = await startApi(t);
  api.firewall.setBanRoom({ capacity: 60_000 });
  for (let part = 0; part < 5; part += 1) {
    const put = Array.from({ length: 10_000 }, (_, index) => ({
      address: `10.${part + 2}.${index >> 8}.${index & 255}`,
      sever: false,
    }));
    assert.equal((await api.send("POST", "/v1/bans/batch", { put })).status, 200);
  }
  assert.equal(new Set(await walk(api)).size, 50_000);
  const within = await api.send("GET", "/v1/bans?within=10.3.7.0/24&limit=1000");
  assert.equal(listed(within, "address").length, 256);
  const covers = await api.send("GET", "/v1/bans?covers=10.4.0.9");
  assert.deepEqual(listed(covers, "address"), ["10.4.0.9"]);
});

test("a position that was tampered with is 400, and so is a filter that is no address", async (t) => {
  const api = await startApi(t);
  for (const host of [1, 2, 3]) await api.send("PUT", `/v1/bans/203.0.113.${host}`, {});
  const cursor = nextCursor(await api.send("GET", "/v1/bans?limit=1"));
  const swapped = cursor.replace(/.$/, (last) => (last === "A" ? "B" : "A"));
  for (const tampered of [
    swapped,
    cursor.slice(1),
    `${cursor}A`,
    cursor.toUpperCase(),
    Buffer.from("203.0.113.1").toString("base64url"),
  ])
    assertProblem(await api.send("GET", `/v1/bans?cursor=${tampered}`), 400, "invalid-input", ["cursor"]);
  for (const [query, pointer] of [
    ["covers=nowhere", "covers"],
    ["covers=", "covers"],
    ["covers=10.0.0.0/8", "covers"],
    ["covers=203.0.113.9&covers=203.0.113.10", "covers"],
    ["within=10.0.0.1/8", "within"],
  ] as const) {
    assertProblem(await api.send("GET", `/v1/bans?${query}`), 400, "invalid-input", [pointer]);
  }
});
