import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createServiceManager, type Supervision, supervisionOf } from "../src/service-manager.ts";
import { createTestClock } from "./support/test-clock.ts";

const inStep = "STATUS=the kernel is in step";

/** A service manager that listens, with a reconciler and the time in the test's hand. */
function createScene(supervision: Supervision | null = { watchdog: 30_000 }) {
  const clock = createTestClock();
  const messages: (readonly string[])[] = [];
  const warnings: object[] = [];
  let movedAt = 0;
  let failure: string | null = null;
  let answer: { readonly exitCode: number | null; readonly stderr: string; readonly failure?: string } = {
    exitCode: 0,
    stderr: "",
  };
  const manager = createServiceManager({
    supervision,
    clock,
    progress: { movedAt: () => movedAt, failure: () => failure },
    log: { warn: (details) => void warnings.push(details) },
    run: async (program, assignments) => {
      assert.equal(program, "systemd-notify");
      messages.push(assignments);
      return answer;
    },
  });
  return {
    manager,
    messages,
    warnings,
    fail: (reason: string) => {
      failure = reason;
    },
    refuse: (result: typeof answer) => {
      answer = result;
    },
    /** Lets time pass; a reconciler that is not stuck ends a pass in each step. */
    pass: async (seconds: number, { stuck = false } = {}) => {
      for (let left = seconds; left > 0; left -= 5) {
        clock.advance(Math.min(5, left) * 1000);
        if (!stuck) movedAt = clock.monotonic();
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

describe("where a service manager waits for a word", () => {
  test("it is told that the service is ready, then twice in each watchdog interval that it lives, then that it stops", async () => {
    const { manager, messages, pass } = createScene();
    manager.ready();
    await pass(30);
    await manager.stopping();
    await pass(60);
    assert.deepEqual(messages, [
      ["READY=1", inStep],
      ["WATCHDOG=1", inStep],
      ["WATCHDOG=1", inStep],
      ["STOPPING=1", "STATUS=stopping; the rules stay in the kernel"],
    ]);
  });

  test("a reconciler that fails is alive, and the status says why, in one line", async () => {
    const { manager, messages, fail, pass } = createScene();
    fail("iptables-restore: exit code 4\nWATCHDOG=1\r\nREADY=1");
    manager.ready();
    await pass(300);
    const status = "STATUS=not in step: iptables-restore: exit code 4 WATCHDOG=1 READY=1";
    assert.deepEqual(messages, [["READY=1", status], ...new Array(20).fill(["WATCHDOG=1", status])]);
  });

  test("a reconciler that is stuck feeds the watchdog no more after two minutes, until it moves again", async () => {
    const { manager, messages, pass } = createScene();
    manager.ready();
    await pass(165, { stuck: true });
    const fed = messages.filter(([first]) => first === "WATCHDOG=1").length;
    assert.equal(fed, 7);
    assert.deepEqual(messages.at(-1), ["STATUS=stuck: no pass over the kernel's rules has ended for 165 s"]);
    await pass(15);
    assert.deepEqual(messages.at(-1), ["WATCHDOG=1", inStep]);
  });

  test("without a watchdog it hears the status all the same, and no sign of life", async () => {
    const { manager, messages, pass } = createScene({ watchdog: null });
    manager.ready();
    await pass(60);
    assert.deepEqual(messages, [["READY=1", inStep], [inStep], [inStep]]);
  });

  test("a systemd-notify that is missing or fails is said once in the log", async () => {
    const cases = {
      "not-found": { exitCode: null, stderr: "", failure: "not-found" },
      "exit code 1: Connection refused": { exitCode: 1, stderr: "Connection refused\n" },
    };
    for (const [reason, result] of Object.entries(cases)) {
      const { manager, warnings, refuse, pass } = createScene();
      refuse(result);
      manager.ready();
      await pass(60);
      assert.deepEqual(warnings, [{ program: "systemd-notify", reason }]);
    }
  });
});

test("without a service manager no program is run", async () => {
  const { manager, messages, pass } = createScene(null);
  manager.ready();
  await pass(60);
  await manager.stopping();
  assert.deepEqual(messages, []);
});

test("the environment tells whether somebody waits, and how often for signs of life from this very process", () => {
  const socket = { NOTIFY_SOCKET: "/run/systemd/notify" };
  assert.equal(supervisionOf({ WATCHDOG_USEC: "1000" }, 7), null);
  assert.equal(supervisionOf({ NOTIFY_SOCKET: "" }, 7), null);
  assert.deepEqual(supervisionOf(socket, 7), { watchdog: null });
  assert.deepEqual(supervisionOf({ ...socket, WATCHDOG_USEC: "30000000" }, 7), { watchdog: 30_000 });
  assert.deepEqual(supervisionOf({ ...socket, WATCHDOG_USEC: "30000000", WATCHDOG_PID: "7" }, 7), { watchdog: 30_000 });
  assert.deepEqual(supervisionOf({ ...socket, WATCHDOG_USEC: "30000000", WATCHDOG_PID: "8" }, 7), { watchdog: null });
  assert.deepEqual(supervisionOf({ ...socket, WATCHDOG_USEC: "much" }, 7), { watchdog: null });
});
