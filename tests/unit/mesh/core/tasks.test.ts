import { describe, expect, test } from "@jest/globals";
import { runTasks, type Task } from "../../../../mesh/core/tasks.ts";

/** Runs until it is told to end, and notes that it did. */
function endless(name: string, ended: string[]): Task {
  return {
    name,
    run: (signal) =>
      new Promise((resolve) => {
        const end = (): void => {
          ended.push(name);
          resolve();
        };
        if (signal.aborted) end();
        else signal.addEventListener("abort", end);
      }),
  };
}

describe("runTasks()", () => {
  test("resolves when the signal aborts and every task has ended", async () => {
    const ended: string[] = [];
    const controller = new AbortController();
    const running = runTasks([endless("a", ended), endless("b", ended)], controller.signal);
    controller.abort();
    await running;
    expect(ended).toEqual(["a", "b"]);
  });

  test("resolves under a signal that was aborted before", async () => {
    await runTasks([endless("a", [])], AbortSignal.abort());
  });

  test("ends the others when one fails, and rejects with its name and cause", async () => {
    const ended: string[] = [];
    const cause = new Error("no disk");
    const failing: Task = { name: "writer", run: () => Promise.reject(cause) };
    const running = runTasks([endless("a", ended), failing], new AbortController().signal);
    await expect(running).rejects.toMatchObject({ message: 'Task "writer" failed', cause });
    expect(ended).toEqual(["a"]);
  });

  test("takes a task that ends by itself for a failure", async () => {
    const quitting: Task = { name: "watch", run: () => Promise.resolve() };
    await expect(runTasks([quitting], new AbortController().signal)).rejects.toThrow(
      'Task "watch" ended by itself',
    );
  });

  test("reports the first failure only", async () => {
    const failing: Task = { name: "first", run: () => Promise.reject(new Error("1")) };
    const later: Task = {
      name: "second",
      run: (signal) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener("abort", () => reject(new Error("2"))),
        ),
    };
    await expect(runTasks([later, failing], new AbortController().signal)).rejects.toThrow(
      'Task "first" failed',
    );
  });

  test("forgives work that the shutdown cut off", async () => {
    const controller = new AbortController();
    const cut: Task = {
      name: "cut",
      run: (signal) =>
        new Promise((_resolve, reject) =>
          signal.addEventListener("abort", () => reject(new Error("aborted"))),
        ),
    };
    const running = runTasks([cut], controller.signal);
    controller.abort();
    await running;
  });
});
