import { expect, test } from "@jest/globals";
import { createStaging } from "../../../../agent/policy/staging.ts";

test("a batch that is held back waits for one run, whatever comes after it", () => {
  const done: string[] = [];
  const staging = createStaging();
  const add = (name: string): void => staging.add(() => done.push(name));
  add("a");
  add("b");
  staging.run({ holdNew: true });
  expect([done, staging.isWaiting]).toEqual([[], true]);
  add("c");
  staging.run({ holdNew: true });
  expect(done).toEqual(["a", "b"]);
  add("d");
  staging.run({ holdNew: false });
  expect([done, staging.isWaiting]).toEqual([["a", "b", "c", "d"], false]);
});
