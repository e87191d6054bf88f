import assert from "node:assert/strict";
import { test } from "node:test";
import { contains, maskNetwork, type Network, parseNetwork } from "../../src/domain/network.ts";
import { createCoverage } from "../../src/domain/network-coverage.ts";
import { seededRandom } from "../support/random.ts";

test("an address is covered exactly when one of the networks holds it", () => {
  const random = seededRandom(1);
  const address = (): Network =>
    random.integer(2) === 0
      ? parseNetwork(`10.${random.integer(4)}.${random.integer(4)}.${random.integer(8)}`)
      : parseNetwork(`2001:db8:${random.integer(4)}::${random.integer(8)}`);
  let covered = 0;
  for (let round = 0; round < 200; round += 1) {
    const networks = Array.from({ length: random.integer(5) }, () => {
      const network = address();
      return maskNetwork(network, network.prefix - random.integer(network.family === 4 ? 20 : 90));
    });
    const covers = createCoverage(networks);
    for (let probe = 0; probe < 10; probe += 1) {
      const source = address();
      const expected = networks.some((network) => contains(network, source));
      assert.equal(covers(source), expected);
      if (expected) covered += 1;
    }
  }
  assert.ok(covered > 100 && covered < 1900, `${covered} of 2000 covered`);
});
