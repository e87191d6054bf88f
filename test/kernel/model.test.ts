// Random commands against a simple model: after each, the API, the store and the kernel say what the model says.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { forBackendsSideBySide } from "../support/kernel.ts";
import { createScene } from "../support/scene.ts";
import { type Command, command, createModel, ports } from "./model.ts";

/** Commands per backend; MODEL_COMMANDS and MODEL_SEED ask for longer or other runs. */
const commands = Number(process.env["MODEL_COMMANDS"] ?? 30);
const seed = Number(process.env["MODEL_SEED"] ?? 11);

forBackendsSideBySide((backend) => {
  test(`after each of ${commands} random commands API, store and kernel agree with the model (seed ${seed})`, async () => {
    const sequences = fc.array(command, { minLength: commands, maxLength: commands, size: "max" });
    const run = async (sequence: readonly Command[]): Promise<void> => {
      await using scene = await createScene({ backend, ports });
      const model = createModel(scene, backend);
      for (const [index, next] of sequence.entries()) {
        const before = sequence.slice(Math.max(0, index - 8), index + 1).map((one) => JSON.stringify(one));
        try {
          await model.perform(next);
          await model.verify();
        } catch (error) {
          throw new Error(`after command ${index + 1}, the last of:\n${before.join("\n")}\n${String(error)}`, { cause: error });
        }
      }
      await scene.service.restart();
      await model.verify();
      assert.equal((await scene.service.request("GET", "/readyz")).status, 200);
    };
    // Shrinking would begin with a new network for each try: the seed and the last commands have to do.
    await fc.assert(fc.asyncProperty(sequences, run), {
      numRuns: 1,
      endOnFailure: true,
      seed: seed + (backend === "nft" ? 0 : 1),
    });
  });
});
