import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import {
  createEventRecorder,
  type EventRecorder,
} from "../../../../../apiserver/source/kubernetes/event-recorder.ts";
import { silentLogger } from "../../../../../mesh/core/logger.ts";
import { createFakeClock, type FakeClock } from "../../../../fakes/clock.ts";
import { createFakeTransport, type FakeTransport } from "../../../../fakes/kubernetes-transport.ts";

let clock: FakeClock;
let transport: FakeTransport;
let recorder: EventRecorder;
let stop: () => Promise<void>;

beforeEach(() => {
  clock = createFakeClock();
  transport = createFakeTransport();
  recorder = createEventRecorder({ transport, clock, random: () => 0.5, log: silentLogger });
  const abort = new AbortController();
  const running = recorder.run(abort.signal);
  stop = async () => {
    abort.abort();
    await running;
  };
});
afterEach(() => stop());

const service = (name: string) => ({
  metadata: { namespace: "shop", name, uid: `uid-${name}`, resourceVersion: "7" },
});
const bodies = (): Record<string, unknown>[] =>
  transport.requests.map(({ body }) => body as Record<string, unknown>);

describe("createEventRecorder()", () => {
  test("writes a warning on the Service", async () => {
    transport.answer(201, {});
    recorder.setProblems(service("cart"), ["Cannot use it"]);
    await clock.settle();
    expect(transport.requests[0]).toMatchObject({
      method: "POST",
      path: "/api/v1/namespaces/shop/events",
      body: {
        involvedObject: { kind: "Service", namespace: "shop", name: "cart", uid: "uid-cart" },
        type: "Warning",
        reason: "InvalidSetting",
        message: "Cannot use it",
      },
    });
  });

  test("or on objects of the kind that it is made for", async () => {
    const seams = { transport, clock, random: () => 0.5, log: silentLogger };
    const secrets = createEventRecorder({ ...seams, kind: "Secret" });
    const abort = new AbortController();
    const running = secrets.run(abort.signal);
    transport.answer(201, {});
    secrets.setProblems(service("cart"), ["Cannot use it"]);
    await clock.settle();
    expect(transport.requests[0]?.body).toMatchObject({ involvedObject: { kind: "Secret" } });
    abort.abort();
    await running;
  });

  test("tells each thing once, also when the Service changes otherwise", async () => {
    transport.answer(201, {});
    for (let change = 0; change < 5; change++) {
      recorder.setProblems(service("cart"), ["Cannot use it"]);
      await clock.advance(1_000);
    }
    expect(transport.requests).toHaveLength(1);
  });

  test("gives what is told again the same name, so that the server refuses it", async () => {
    transport.answer(201, {});
    recorder.setProblems(service("cart"), ["Cannot use it"]);
    await clock.advance(1_000);
    recorder.setProblems(service("cart"), []);
    recorder.setProblems(service("cart"), ["Cannot use it"]);
    transport.answer(409, { message: "already exists" });
    transport.answer(201, {});
    await clock.advance(1_000);
    recorder.setProblems(service("cart"), ["Cannot use that"]);
    await clock.advance(1_000);
    const names = bodies().map((body) => (body["metadata"] as { name: string }).name);
    expect(names).toHaveLength(3);
    expect(names[1]).toBe(names[0]);
    expect(names[2]).not.toBe(names[0]);
  });

  test("writes slowly, and nothing about what was set right or went away meanwhile", async () => {
    for (let i = 0; i < 10; i++) transport.answer(201, {});
    for (let i = 0; i < 10; i++) recorder.setProblems(service(`s${i}`), ["wrong"]);
    await clock.settle();
    expect(transport.requests).toHaveLength(1);
    recorder.setProblems(service("s1"), []);
    recorder.forget("shop/s2");
    await clock.advance(1_000);
    const told = bodies().map((body) => (body["involvedObject"] as { name: string }).name);
    expect(told).toEqual(["s0", "s3", "s4"]);
  });

  test("tries again when the server is away, and gives up what is refused", async () => {
    transport.fail();
    transport.answer(403, { message: "forbidden" });
    transport.answer(201, {});
    recorder.setProblems(service("cart"), ["one", "two"]);
    await clock.advance(5_000);
    expect(bodies().map((body) => body["message"])).toEqual(["one", "one", "two"]);
  });
});
