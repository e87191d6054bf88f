import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { alternate } from "../../../bench/harness/rounds.ts";
import { differences, ratios, spreadOf } from "../../../bench/harness/statistics.ts";

describe("the spread of figures", () => {
  it("is their median and quartiles, whatever their order", () => {
    assert.deepEqual(spreadOf([5, 1, 4, 2, 3]), { median: 3, lowerQuartile: 2, upperQuartile: 4, count: 5 });
  });

  it("lies between two figures where their number is even", () => {
    assert.deepEqual(spreadOf([1, 2, 3, 10]), { median: 2.5, lowerQuartile: 1.75, upperQuartile: 4.75, count: 4 });
  });

  it("is the figure itself where there is one", () => {
    assert.deepEqual(spreadOf([7]), { median: 7, lowerQuartile: 7, upperQuartile: 7, count: 1 });
  });

  it("sorts by number, not by text", () => {
    assert.equal(spreadOf([9, 100, 20]).median, 20);
  });

  it("needs a figure", () => {
    assert.throws(() => spreadOf([]), RangeError);
  });
});

describe("figures of two variants", () => {
  it("are compared round by round", () => {
    assert.deepEqual(ratios([2, 9], [4, 3]), [0.5, 3]);
    assert.deepEqual(differences([2, 9], [4, 3]), [-2, 6]);
  });

  it("can't be compared where one has more rounds", () => {
    assert.throws(() => ratios([1, 2], [1]), RangeError);
  });

  it("are measured in turn", async () => {
    const order: string[] = [];
    const variant = (name: string, figure: number) => async () => {
      order.push(name);
      return figure;
    };
    const rounds = await alternate(3, { a: variant("a", 1), b: variant("b", 2) });
    assert.equal(order.join(""), "abbaab");
    assert.deepEqual(rounds, { a: [1, 1, 1], b: [2, 2, 2] });
  });
});
