// Flows of real programs in real network namespaces: what is ended, how soon the programs learn of
// it, and what goes on untouched.
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { createDiagSocket, openDiagSocket } from "../../agent/flows/diag-socket.ts";
import {
  createFlowReset,
  type FlowReset,
  type FlowResetOptions,
} from "../../agent/flows/flow-reset.ts";
import { flowRowsFromMap } from "../../agent/flows/flow-rows.ts";
import { createNamespaces, type Namespaces } from "../../agent/flows/namespaces.ts";
import { openNamespaces } from "../../agent/flows/open-namespaces.ts";
import type { AddressRecord } from "../../agent/cni/address-book.ts";
import { backendKey, type BackendState } from "../../agent/apply/service-state.ts";
import { addressFromMapAddress } from "../../bpf/address.ts";
import { FlowState, IpProtocol, type Flow, type FlowKey } from "../../bpf/gen/layout.ts";
import { flowsMap } from "../../bpf/gen/maps.ts";
import type { BpfMap } from "../../bpf/map.ts";
import { createMemoryMap } from "../../bpf/memory-map.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { createJsonLogger } from "../../mesh/core/logger.ts";
import { eventually } from "../fakes/eventually.ts";
import { ROOT } from "../sources.ts";
import { createFlowSite, SERVER_PORT, SERVERS, type FlowSite } from "./flow-site.ts";

const LIMIT_MS = 240_000;
jest.setTimeout(LIMIT_MS);

const PODS = 20;
/** Each pod keeps so many TCP connections to the server that fails. */
const FLOWS_A_POD = 50;
/** What "at once" may mean on two busy cores. */
const PROMPT_MS = 5_000;

const log = createJsonLogger({ write: () => {}, nowMs: () => 0 });
const CLUSTER = { healthy: 1, failing: 2, blackHole: 3 } as const;
const SERVICE_IDS = { healthy: 11, failing: 12, blackHole: 13 } as const;

let site: FlowSite;
let map: BpfMap<FlowKey, Flow>;
let namespaces: Namespaces;
/** Does each order once: nothing comes later into another test. */
let flowReset: FlowReset;
/** The same, running: it looks again. */
let lookingAgain: FlowReset;
let stop: AbortController;
let running: Promise<void>;
let records: AddressRecord[];
const backends = new Map<number, BackendState>();
const backendIds = new Map<string, number>();

beforeAll(async () => {
  site = await createFlowSite(PODS);
  for (const name of ["healthy", "failing", "blackHole"] as const) {
    for (const address of Object.values(SERVERS[name])) {
      for (const protocol of ["TCP", "UDP"] as const) {
        const id = backends.size + 1;
        const value = { clusterId: CLUSTER[name], address, port: SERVER_PORT, protocol };
        backends.set(id, { value, references: 1 });
        backendIds.set(backendKey(value), id);
      }
    }
  }
  map = createMemoryMap(flowsMap, { maxEntries: 4_096 });
  records = site.pods.map((netns, i) => ({
    address: `10.77.${i + 1}.2`,
    containerId: `c${i + 1}`,
    ifName: "eth0",
    netns,
    pod: `default/pod${i + 1}`,
    bpfRoot: "",
  }));
  namespaces = createNamespaces({
    book: { list: () => Promise.resolve(records) },
    async *podsCame() {},
    openOwn: () => createDiagSocket(openDiagSocket()),
    open: openNamespaces,
    clock: systemClock,
    log,
  });
  const parts: FlowResetOptions = {
    namespaces,
    rows: flowRowsFromMap(map),
    known: () => ({ backends, backendIds }),
    serviceIds: (service) => [SERVICE_IDS[service as keyof typeof SERVICE_IDS]],
    movable: () => new Set(Object.values(SERVICE_IDS)),
    clock: systemClock,
    log,
  };
  flowReset = createFlowReset(parts);
  lookingAgain = createFlowReset(parts);
  stop = new AbortController();
  running = lookingAgain.run(stop.signal);
  await eventually(() => flowReset.status().followed === PODS);
}, LIMIT_MS);

afterAll(async () => {
  stop.abort();
  await running;
  await site[Symbol.asyncDispose]();
}, LIMIT_MS);

describe("resetCluster()", () => {
  test("ends 1,000 flows over 20 namespaces, and those alone", async () => {
    for (const namespace of site.pods) {
      const open = { namespace, do: "open" } as const;
      site.order({ ...open, group: "doomed", host: SERVERS.failing.ipv4, count: FLOWS_A_POD });
      site.order({ ...open, group: "kept", host: SERVERS.healthy.ipv4, count: 2 });
      site.order({ ...open, group: "kept", host: SERVERS.healthy.ipv6, count: 2 });
    }
    await site.until("doomed", "connected", PODS * FLOWS_A_POD);
    await site.until("kept", "connected", PODS * 4);
    enterFlows();
    const startedAtMs = Date.now();
    const [outcome, beside] = await Promise.all([
      resetCluster("failing", [4]),
      resetCluster("failing", [6]),
    ]);
    expect(beside.reset).toBe(0);
    expect(outcome).toMatchObject({ reset: PODS * FLOWS_A_POD, problems: [] });
    await site.until("doomed", "error", PODS * FLOWS_A_POD);
    const last = Math.max(...errorsOf("doomed").map(({ atMs }) => atMs));
    process.stderr.write(
      `flow reset: ${outcome.reset} flows of ${PODS} namespaces in ${Math.round(outcome.ms)} ms; ` +
        `the last program knew after ${last - startedAtMs} ms\n`,
    );
    expect(codesOf("doomed")).toEqual(["ECONNABORTED"]);
    expect(last - startedAtMs).toBeLessThan(PROMPT_MS);
    const { pods } = site;
    for (const namespace of pods) site.order({ namespace, do: "say", group: "kept" });
    await site.until("kept", "echo", PODS * 4);
    expect(site.count("kept", "error")).toBe(0);
    expect(flowReset.status().resets["cluster-down"]).toBe(PODS * FLOWS_A_POD);
  });

  test("a connect() into a black hole fails at once, over both families", async () => {
    const [namespace = ""] = site.pods;
    for (const host of [SERVERS.blackHole.ipv4, SERVERS.blackHole.ipv6])
      site.order({ namespace, do: "open", group: "hole", host });
    await site.until("hole", "connecting", 2);
    await eventually(() => enterFlows() && connecting("blackHole"));
    await resetCluster("blackHole");
    await site.until("hole", "error", 2);
    expect(codesOf("hole")).toEqual(["ECONNABORTED"]);
  });

  test("a connect() that begins while the state is written is found by a later look", async () => {
    const [namespace = ""] = site.pods;
    await lookingAgain.resetCluster({
      clusterId: CLUSTER.blackHole,
      families: [4],
      reason: "cluster-down",
    });
    expect(lookingAgain.status().resets["cluster-down"]).toBe(0);
    site.order({ namespace, do: "open", group: "late", host: SERVERS.blackHole.ipv4 });
    await site.until("late", "connecting", 1);
    enterFlows();
    await site.until("late", "error", 1);
    await eventually(() => lookingAgain.status().resets["cluster-down"] === 1);
  });

  test("ends IPv6 flows and those to IPv4-mapped addresses by the address that is meant", async () => {
    const [namespace = ""] = site.pods;
    const open = { namespace, do: "open" } as const;
    site.order({ ...open, group: "six", host: SERVERS.failing.ipv6 });
    site.order({ ...open, group: "mapped", host: `::ffff:${SERVERS.failing.ipv4}` });
    await site.until("six", "connected", 1);
    await site.until("mapped", "connected", 1);
    enterFlows();
    await resetCluster("failing", [6]);
    await site.until("six", "error", 1);
    expect(site.count("mapped", "error")).toBe(0);
    await resetCluster("failing", [4]);
    await site.until("mapped", "error", 1);
  });

  test("a connected UDP socket gets an error", async () => {
    const [namespace = ""] = site.pods;
    const open = { namespace, do: "open", protocol: "udp" } as const;
    site.order({ ...open, group: "udp", host: SERVERS.failing.ipv4 });
    site.order({ ...open, group: "udp", host: SERVERS.failing.ipv6 });
    site.order({ ...open, group: "udp-kept", host: SERVERS.healthy.ipv4 });
    await site.until("udp", "connected", 2);
    await site.until("udp-kept", "connected", 1);
    enterFlows();
    await resetCluster("failing");
    site.order({ namespace, do: "say", group: "udp" });
    site.order({ namespace, do: "say", group: "udp-kept" });
    await site.until("udp", "error", 2);
    await site.until("udp-kept", "echo", 1);
    expect(site.count("udp", "echo")).toBe(0);
  });
});

describe("which flows", () => {
  test("a program's own connection to a backend's address is left alone", async () => {
    const [namespace = ""] = site.pods;
    site.order({ namespace, do: "open", group: "direct", host: SERVERS.failing.ipv4 });
    await site.until("direct", "connected", 1);
    await resetCluster("failing");
    site.order({ namespace, do: "say", group: "direct" });
    await site.until("direct", "echo", 1);
  });

  test("unless rows may be lost: then the address decides, but never for a drain", async () => {
    const filler = { ...anyFlow(), clusterId: 99 };
    const cookies = Array.from({ length: 4_000 }, (_, i) => 2n ** 60n + BigInt(i));
    map.putBatch(cookies.map((socketCookie) => [{ socketCookie }, filler] as const));
    await flowReset.resetDrained({ clusterId: CLUSTER.failing, services: [] });
    expect(site.count("direct", "error")).toBe(0);
    await resetCluster("failing");
    await site.until("direct", "error", 1);
    map.deleteBatch(cookies.map((socketCookie) => ({ socketCookie })));
  });

  test("only those of some backends, or of a service that drains", async () => {
    const [namespace = ""] = site.pods;
    const open = { namespace, do: "open" } as const;
    site.order({ ...open, group: "backend", host: SERVERS.failing.ipv4 });
    site.order({ ...open, group: "drain", host: SERVERS.failing.ipv6 });
    await site.until("backend", "connected", 1);
    await site.until("drain", "connected", 1);
    enterFlows();
    const asked = { service: "failing", clusterId: CLUSTER.failing };
    expect(await flowReset.count(asked)).toMatchObject({ established: 2, connecting: 0 });
    const value = { clusterId: 2, address: SERVERS.failing.ipv4, port: SERVER_PORT };
    const id = backendIds.get(backendKey({ ...value, protocol: "TCP" })) ?? 0;
    await flowReset.resetBackends({ ids: [id], reason: "backend-down" });
    await site.until("backend", "error", 1);
    expect(site.count("drain", "error")).toBe(0);
    const { clusterId } = value;
    await flowReset.resetDrained({ clusterId, services: ["healthy"] });
    expect(site.count("drain", "error")).toBe(0);
    await flowReset.resetDrained({ clusterId, services: ["failing"] });
    await site.until("drain", "error", 1);
    expect((await flowReset.count(asked)).reset).toBeGreaterThanOrEqual(2);
  });
});

describe("namespaces", () => {
  test("one that disappears is let go, and the others are reset all the same", async () => {
    const [gone = "", other = ""] = site.pods.slice(-2);
    const pod = records.find(({ netns }) => netns === gone);
    for (const namespace of [gone, other])
      site.order({ namespace, do: "open", group: "last", host: SERVERS.failing.ipv4 });
    await site.until("last", "connected", 2);
    enterFlows();
    site.removePod(gone);
    const closing = namespaces.closeGone();
    const outcome = await resetCluster("failing");
    await closing;
    expect(outcome.problems).toEqual([]);
    expect(namespaces.held().map(({ path }) => path)).not.toContain(gone);
    // The program that has lost its connection says so when it has its turn.
    await eventually(() =>
      site.events.some(
        ({ group, what, namespace }) => group === "last" && what === "error" && namespace === other,
      ),
    );
    // The book still names it: a pod that went without a DEL.
    await namespaces.follow();
    expect([...namespaces.status().failed.keys()]).toEqual([gone]);
    records = records.filter((record) => record !== pod);
    await namespaces.follow();
    expect(namespaces.status().failed.size).toBe(0);
  });

  test("without rights or descriptors the answer says so, and the others are opened", () => {
    const script = join(ROOT, "tests/integration/flow-opener.ts");
    const open = (command: string, limit: string): string[] => {
      const node = [process.execPath, "--disable-warning=ExperimentalWarning", script];
      const paths = records.map(({ netns }) => netns);
      const { stdout } = spawnSync(command, [limit, ...node, ...paths], { encoding: "utf8" });
      return stdout.trim().split("\n");
    };
    const refused = new Set(open("setpriv", "--bounding-set=-sys_admin"));
    expect([...refused]).toEqual(["Cannot enter network namespace: EPERM"]);
    const some = open("prlimit", "--nofile=40:40");
    expect(some.length).toBe(records.length);
    expect(some[0]).toBe("open");
    expect(some.at(-1)).toContain("EMFILE");
  });

  test("the limit of namespaces leaves the rest out by name", async () => {
    const few = createNamespaces({
      book: { list: () => Promise.resolve(records) },
      async *podsCame() {},
      openOwn: () => createDiagSocket(openDiagSocket()),
      open: openNamespaces,
      maximum: 3,
      clock: systemClock,
      log,
    });
    await few.follow();
    expect(few.status().followed).toBe(3);
    expect(few.status().failed.size).toBe(records.length - 3);
    expect([...few.status().failed.values()][0]).toBe("3 pods are followed already");
    few.close();
  });
});

async function resetCluster(name: keyof typeof CLUSTER, families: readonly (4 | 6)[] = [4, 6]) {
  const reason = "cluster-down";
  return flowReset.resetCluster({ clusterId: CLUSTER[name], families, reason });
}

function errorsOf(group: string) {
  return site.events.filter((event) => event.group === group && event.what === "error");
}

function codesOf(group: string): string[] {
  return [...new Set(errorsOf(group).map(({ code }) => code))];
}

async function connecting(name: keyof typeof CLUSTER): Promise<boolean> {
  return (await flowReset.count({ service: name, clusterId: CLUSTER[name] })).connecting === 2;
}

/** Writes what the datapath would have: a row for every socket to one of the servers. */
function enterFlows(): true {
  const protocolNumber = { TCP: IpProtocol.tcp, UDP: IpProtocol.udp };
  for (const { sockets } of namespaces.held()) {
    for (const family of [4, 6] as const) {
      for (const protocol of ["TCP", "UDP"] as const) {
        for (const { cookie, address, port } of sockets.list({ family, protocol })) {
          const { text } = addressFromMapAddress(address);
          const found = [...backends].find(
            ([, { value }]) =>
              value.address === text && value.port === port && value.protocol === protocol,
          );
          if (found === undefined) continue;
          const [backendId, { value }] = found;
          const name = (["healthy", "failing", "blackHole"] as const)[value.clusterId - 1];
          const serviceId = SERVICE_IDS[name ?? "healthy"];
          const { clusterId } = value;
          const row = { ...anyFlow(), serviceId, backendId, clusterId, address, port };
          map.put({ socketCookie: cookie }, { ...row, protocol: protocolNumber[protocol] });
        }
      }
    }
  }
  return true;
}

function anyFlow(): Flow {
  return {
    netnsCookie: 1n,
    startedNs: 0n,
    serviceId: 0,
    backendId: 0,
    clusterId: 0,
    protocol: IpProtocol.tcp,
    state: FlowState.established,
    port: 0,
    address: new Uint8Array(16),
  };
}
