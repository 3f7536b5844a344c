import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createNamespaces, type Namespaces } from "../../../../agent/flows/namespaces.ts";
import type { OpenedNamespace } from "../../../../agent/flows/open-namespaces.ts";
import { createDiagSocket } from "../../../../agent/flows/diag-socket.ts";
import type { AddressRecord } from "../../../../agent/cni/address-book.ts";
import { AF_NETLINK, openSocket, SOCK_RAW, type Socket } from "../../../../bpf/socket.ts";
import { createJsonLogger } from "../../../../mesh/core/logger.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";
import { eventually } from "../../../fakes/eventually.ts";

/** Nobody asks it anything here. */
const netlink = (): Socket =>
  openSocket({ domain: AF_NETLINK, type: SOCK_RAW, protocol: 4, name: "sock_diag" });

let directory: string;
let clock: FakeClock;
let records: AddressRecord[];
let came: (() => void) | undefined;
let openings: (readonly string[])[];
let problems: Map<string, string>;
let namespaces: Namespaces;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-namespaces-"));
  clock = createFakeClock();
  records = [];
  openings = [];
  problems = new Map();
  came = undefined;
  namespaces = createNamespaces({
    book: { list: () => Promise.resolve(records) },
    async *podsCame(signal) {
      while (!signal.aborted) {
        await new Promise<void>((resolve) => {
          came = resolve;
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
        yield undefined;
      }
    },
    openOwn: () => createDiagSocket(netlink()),
    open: async (paths) => {
      openings.push(paths);
      return Promise.all(paths.map(open));
    },
    maximum: 3,
    clock,
    log: createJsonLogger({ write: () => {}, nowMs: () => 0 }),
  });
});

afterEach(async () => {
  namespaces.close();
  await rm(directory, { recursive: true });
});

async function open(path: string): Promise<OpenedNamespace> {
  const problem = problems.get(path);
  if (problem !== undefined) return { path, problem };
  const { dev, ino } = await stat(path);
  return { path, identity: `${dev}:${ino}`, socket: netlink() };
}

/** A file stands for a namespace: both are known by device and inode. */
async function addPod(name: string, address = name): Promise<string> {
  const netns = join(directory, name);
  await writeFile(netns, "");
  const owner = { containerId: name, ifName: "eth0", netns, pod: name, bpfRoot: "" };
  records.push({ address, ...owner });
  return netns;
}

const heldPods = (): string[] => namespaces.held().map(({ pod }) => pod);

describe("follow()", () => {
  test("opens each pod's namespace once, however many addresses it has", async () => {
    const netns = await addPod("a", "10.1.1.2");
    await addPod("a", "fd00::2");
    await namespaces.follow();
    await namespaces.follow();
    expect(openings).toEqual([[netns]]);
    expect(heldPods()).toEqual(["", "a"]);
  });

  test("closes what has left the book", async () => {
    await addPod("a");
    await namespaces.follow();
    records = [];
    await namespaces.follow();
    expect(heldPods()).toEqual([""]);
  });

  test("opens again where another namespace stands at the same path", async () => {
    const netns = await addPod("a");
    await namespaces.follow();
    await writeFile(join(directory, "new"), "");
    await rename(join(directory, "new"), netns);
    await namespaces.follow();
    expect(openings.length).toBe(2);
    expect(heldPods()).toEqual(["", "a"]);
  });

  test("names what cannot be opened, until it can be or is gone", async () => {
    const a = await addPod("a");
    const b = await addPod("b");
    problems.set(a, "EPERM").set(b, "EPERM");
    await namespaces.follow();
    expect(namespaces.status()).toEqual({
      followed: 0,
      failed: new Map([
        [a, "EPERM"],
        [b, "EPERM"],
      ]),
    });
    problems.clear();
    records = records.filter(({ netns }) => netns === a);
    await namespaces.follow();
    expect(namespaces.status()).toEqual({ followed: 1, failed: new Map() });
  });

  test("leaves out what is beyond the limit", async () => {
    for (const name of ["a", "b", "c", "d"]) await addPod(name);
    await namespaces.follow();
    const failed = new Map([[join(directory, "d"), "3 pods are followed already"]]);
    expect(namespaces.status()).toEqual({ followed: 3, failed });
  });
});

test("a kernel that gives no socket is a problem with a name, not an end", async () => {
  const none = createNamespaces({
    book: { list: () => Promise.resolve([]) },
    async *podsCame() {},
    openOwn: () => {
      throw new Error("no sock_diag here");
    },
    open: () => Promise.resolve([]),
    clock,
    log: createJsonLogger({ write: () => {}, nowMs: () => 0 }),
  });
  await none.follow();
  await none.follow();
  expect(none.held()).toEqual([]);
  expect(none.status().failed).toEqual(new Map([["", "no sock_diag here"]]));
  none.close();
});

test("closeGone() lets go of a namespace whose path leads nowhere", async () => {
  await rm(await addPod("a"));
  const b = await addPod("b");
  problems.set(join(directory, "a"), "ENOENT");
  await namespaces.follow();
  expect(heldPods()).toEqual(["", "b"]);
  await rm(b);
  await namespaces.closeGone();
  expect(heldPods()).toEqual([""]);
});

test("run() follows pods as they come, lets go within seconds, and ends with nothing open", async () => {
  const stop = new AbortController();
  const running = namespaces.run(stop.signal);
  await eventually(() => clock.sleepers === 1);
  const a = await addPod("a");
  came?.();
  await eventually(() => heldPods().includes("a"));
  await eventually(() => clock.sleepers === 1);
  await rm(a);
  await clock.advance(2_000);
  await eventually(() => !heldPods().includes("a"));
  await eventually(() => clock.sleepers === 1);
  stop.abort();
  await running;
  expect(namespaces.held()).toEqual([]);
});
