import { expect, test } from "@jest/globals";
import { awaitPolicy } from "../../../../agent/cni/policy-wait.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const never = new AbortController().signal;

function pod(open: boolean) {
  const state = { open, has: false };
  const view = { isOpenToAll: () => state.open, hasPolicy: () => state.has };
  return { state, place: { view, ifindex: 7 } };
}

test("waits for nothing where no pod has a policy", async () => {
  const clock = createFakeClock();
  expect(await awaitPolicy(pod(true).place, clock, never)).toBe(true);
});

test("ends as soon as the pod's policy is there", async () => {
  const clock = createFakeClock();
  const { state, place } = pod(false);
  const done = awaitPolicy(place, clock, never);
  await clock.advance(50);
  state.has = true;
  await clock.advance(10);
  expect(await done).toBe(true);
  expect(clock.monotonicMs()).toBe(60);
});

test("ends after three seconds with a closed pod", async () => {
  const clock = createFakeClock();
  const done = awaitPolicy(pod(false).place, clock, never);
  await clock.advance(3_000);
  expect(await done).toBe(false);
});

test("ends when it is told to", async () => {
  const clock = createFakeClock();
  const end = new AbortController();
  const done = awaitPolicy(pod(false).place, clock, end.signal);
  end.abort();
  await expect(done).rejects.toMatchObject({ code: "aborted" });
});
