import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createServer, type AddressInfo, type Server } from "node:net";
import {
  dialTcp,
  firstToAnswer,
  HEAD_START_MS,
  RACE_LIMIT_MS,
} from "../../../../mesh/kvstore/endpoint-race.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";

const never = new AbortController().signal;
let clock: FakeClock;
let dialled: string[];
let ended: string[];
/** What hosts do; who is not named here is silent. */
let hosts: Map<string, "answers" | "refuses">;

beforeEach(() => {
  clock = createFakeClock();
  [dialled, ended, hosts] = [[], [], new Map()];
});

const dial = (host: string, signal: AbortSignal): Promise<void> => {
  dialled.push(host);
  if (hosts.get(host) === "answers") return Promise.resolve();
  if (hosts.get(host) === "refuses") return Promise.reject(new Error("ECONNREFUSED"));
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => {
      ended.push(host);
      reject(new Error("nobody waits"));
    });
  });
};

const race = (names: string, failed = "", signal = never): Promise<string> =>
  firstToAnswer(names.split(""), { failed: failed.split(""), dial, clock }, signal);

describe("firstToAnswer()", () => {
  test("tries all at once, takes the first that answers and leaves the others", async () => {
    hosts.set("a", "refuses").set("c", "answers");
    await expect(race("abc")).resolves.toBe("c");
    expect(dialled).toEqual(["a", "b", "c"]);
    expect(ended).toEqual(["b"]);
    expect(clock.sleepers).toBe(0);
  });

  test("prefers a host that has not failed to one that has, whose turn it is otherwise", async () => {
    hosts.set("a", "answers").set("b", "answers");
    await expect(race("ab", "a")).resolves.toBe("b");
    expect(dialled).toEqual(["b"]);

    hosts.set("b", "refuses");
    await expect(race("ab", "a")).resolves.toBe("a");
  });

  test("gives silent hosts a head start only, the longest failed goes first", async () => {
    const racing = race("abc", "cb");
    await clock.advance(HEAD_START_MS - 1);
    expect(dialled).toEqual(["a"]);
    await clock.advance(1);
    expect(dialled).toEqual(["a", "c"]);
    hosts.set("b", "answers");
    await clock.advance(HEAD_START_MS);
    await expect(racing).resolves.toBe("b");
    expect(ended).toEqual(["a", "c"]);
  });

  test("says that none answers, at once when all refuse", async () => {
    for (const host of "ab") hosts.set(host, "refuses");
    await expect(race("ab", "b")).rejects.toMatchObject({
      code: "unavailable",
      message: "Cannot connect to etcd: none of 2 endpoints answers; a: ECONNREFUSED",
    });
    expect(clock.monotonicMs()).toBe(0);
  });

  test("says that none answers after a while when some are silent", async () => {
    const racing = expect(race("ab")).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("none of 2 endpoints answers; a: no answer in time"),
    });
    await clock.advance(RACE_LIMIT_MS);
    await racing;
    expect(ended).toEqual(["a", "b"]);
    expect(clock.sleepers).toBe(0);
  });

  test("ends with its signal", async () => {
    const abort = new AbortController();
    const racing = race("ab", "b", abort.signal);
    abort.abort();
    await expect(racing).rejects.toMatchObject({ code: "aborted" });
    expect(clock.sleepers).toBe(0);
  });
});

describe("dialTcp()", () => {
  const servers: Server[] = [];
  afterEach(async () => {
    for (const server of servers.splice(0)) {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  async function listen(host: string): Promise<number> {
    const server = createServer((socket) => socket.on("error", () => {}).resume());
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return (server.address() as AddressInfo).port;
  }

  test("resolves where somebody listens, in both families", async () => {
    await dialTcp(`127.0.0.1:${await listen("127.0.0.1")}`, never);
    await dialTcp(`[::1]:${await listen("::1")}`, never);
  });

  test("rejects where nobody does, and when it is aborted", async () => {
    await expect(dialTcp("127.0.0.1:1", never)).rejects.toThrow("ECONNREFUSED");
    const port = await listen("127.0.0.1");
    await expect(dialTcp(`127.0.0.1:${port}`, AbortSignal.abort())).rejects.toThrow("nobody waits");
  });
});
