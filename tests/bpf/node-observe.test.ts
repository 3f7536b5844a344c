// What people are told of the datapath, against the datapath itself: flows from the real ring
// buffer, and a trace's verdict beside what really becomes of a packet.
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { join } from "node:path";
import type { LocalEndpoint } from "../../agent/endpoints/local-endpoints.ts";
import { createNodeObserve } from "../../agent/observe/observe.ts";
import { datapathVerdict } from "../../agent/status/datapath-verdict.ts";
import { flowRecordCodec, PolicyEnforcement, PolicyMode } from "../../bpf/gen/layout.ts";
import { flowRecordsMap } from "../../bpf/gen/maps.ts";
import type { PolicyRow } from "../../bpf/policy-maps.ts";
import { openPinnedRingBuffer } from "../../bpf/ring-buffer.ts";
import type { Observed } from "../../mesh/api/policy-messages.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { identityRange } from "../../mesh/core/identity.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { createTable } from "../../mesh/core/table.ts";
import { EAST } from "../fakes/agent-cluster.ts";
import { createTestIntent } from "../fakes/agent-intent.ts";
import { eventually } from "../fakes/eventually.ts";
import { ipPacket, PROTOCOL, TCP_FLAG, tcpSegment } from "./packet.ts";
import {
  AGGREGATE,
  createPolicySite,
  egress,
  EVERYTHING,
  FAMILIES,
  IDENTITY,
  ingress,
  type PolicySite,
} from "./policy-site.ts";
import { SLOW_MACHINE_MS } from "./scratch.ts";
import { LOOPBACK_IFINDEX } from "./test-run.ts";

jest.setTimeout(SLOW_MACHINE_MS);

const { pod, own, foreign, world } = FAMILIES.IPv4;
const OWN_RANGE = identityRange(EAST.id, EAST.maxConnectedClusters);
const RULE = { policy: "NetworkPolicy/shop/cart", path: "spec.egress[0]" };
const engine = { ruleOf: (number: number) => (number === 7 ? [RULE] : []), rows: () => [] };

let site: PolicySite;

beforeAll(async () => {
  site = await createPolicySite(new Map([["flow_records", 1 << 12]]));
});

afterAll(async () => {
  await site?.[Symbol.asyncDispose]();
});

function segment(source: string, destination: string, ports: readonly [number, number]): Buffer {
  const payload = tcpSegment({ ports, sequence: 1, flags: TCP_FLAG.syn });
  return ipPacket({ source, destination, protocol: PROTOCOL.tcp, payload });
}

describe("createNodeObserve()", () => {
  test("tells of what the programs have recorded, and how much found no room", async () => {
    const intent = createTestIntent(EAST);
    const labels = ["k8s:app=cart"];
    intent.own.identities.put(`${IDENTITY.pod}`, { number: IDENTITY.pod, labels });
    const endpoints = createTable<LocalEndpoint>({ name: "endpoints" });
    const place = { hostInterface: "lo", ifindex: LOOPBACK_IFINDEX, addresses: [pod] };
    endpoints.put("a/eth0", { key: "a/eth0", pod: "shop/cart-1", ...place });
    const path = join(site.bpfRoot, "maps", flowRecordsMap.name);
    using records = openPinnedRingBuffer(path, { spec: flowRecordsMap, record: flowRecordCodec });
    const node = createNodeObserve({
      nodeName: "east-1",
      intent,
      cluster: EAST,
      endpoints,
      engine,
      records,
      counters: site.datapath.maps.counters,
      clock: systemClock,
      kernelNowNs: () => process.hrtime.bigint(),
      log: silentLogger,
    });
    site.forgetConnections();
    site.enforce([egress.allow({ identity: IDENTITY.own, rule: 7 })]);
    const startedMs = Date.now();
    site.sendBlind(segment(pod, own, [40_000, 80]));
    site.sendBlind(segment(pod, foreign, [40_001, 80]));
    const end = new AbortController();
    const done = Promise.all(node.tasks.map((task) => task.run(end.signal)));
    const ask = async (): Promise<Observed[]> =>
      await Array.fromAsync(node.observe({ ...EVERY_FLOW, last: 1_000 }, { signal: end.signal }));
    await eventually(() => node.status().records === 2);
    const [first, second] = (await ask()).map(({ flow }) => flow);
    expect(first).toMatchObject({
      node: "east-1",
      verdict: "forwarded",
      direction: "egress",
      protocol: "TCP",
      source: {
        address: pod,
        port: 40_000,
        cluster: "east",
        namespace: "shop",
        pod: "cart-1",
        labels,
      },
      destination: { address: own, port: 80, identity: IDENTITY.own },
      rule: RULE,
      packets: 1,
      state: "new",
    });
    expect(Math.abs((first?.timeMs ?? 0) - startedMs)).toBeLessThan(5_000);
    expect(second).toMatchObject({
      verdict: "dropped",
      reason: "policy-denied",
      source: { pod: "cart-1" },
      destination: { address: foreign, identity: IDENTITY.foreign },
      rule: null,
    });
    // More than the buffer holds, faster than anybody looks.
    for (let port = 1; port <= 100; port++) site.sendBlind(segment(pod, own, [port, 80]));
    const lost = await eventually(async () => {
      const observed = await ask();
      const flows = observed.filter(({ flow }) => flow !== null).length;
      const missing = observed.reduce((sum, one) => sum + one.lost, 0);
      return flows + missing === 102 && missing;
    });
    expect(lost).toBeGreaterThan(0);
    end.abort();
    await done;
  });
});

describe("datapathVerdict()", () => {
  const { own: neighbour } = IDENTITY;
  const policies: readonly (readonly [string, readonly PolicyRow[]])[] = [
    ["nothing", []],
    ["everything", EVERYTHING],
    ["one identity's port", [egress.allow({ identity: neighbour, protocol: 6, port: 80 })]],
    [
      "a prefix of ports",
      [egress.allow({ identity: AGGREGATE.cluster, protocol: 6, port: [64, 10] })],
    ],
    [
      "a deny of the aggregate over an exact allow",
      [
        egress.allow({ identity: neighbour }),
        egress.deny({ identity: AGGREGATE.cluster, protocol: 6, port: 80 }),
      ],
    ],
    [
      "a longer allow in a deny of the same plane",
      [
        egress.deny({ identity: AGGREGATE.anybody, protocol: 6 }),
        egress.allow({ identity: AGGREGATE.anybody, protocol: 6, port: 80 }),
      ],
    ],
    ["the world", [egress.allow({ identity: AGGREGATE.world })]],
    ["other clusters", [egress.allow({ identity: AGGREGATE.clustermesh })]],
    ["the other direction", [ingress.allow({ identity: AGGREGATE.anybody })]],
  ];
  const peers = [
    [own, IDENTITY.own],
    [foreign, IDENTITY.foreign],
    [world, IDENTITY.worldIpv4],
    [FAMILIES.IPv4.prefix, IDENTITY.prefix],
    [FAMILIES.IPv4.node, IDENTITY.remoteNode],
  ] as const;

  function agree(): void {
    for (const [destination, identity] of peers) {
      for (const port of [80, 443]) {
        site.forgetConnections();
        const { drops } = site.send(segment(pod, destination, [40_000, port]));
        const question = { direction: "egress", identity, protocol: 6, port } as const;
        const parts = {
          policies: site.policies,
          maps: site.datapath.maps,
          engine: engine as never,
        };
        const told = datapathVerdict(
          { ...question, ifindex: LOOPBACK_IFINDEX },
          { parts, ownRange: OWN_RANGE },
        );
        expect({ identity, port, verdict: told.verdict }).toEqual({
          identity,
          port,
          verdict: drops.length === 0 ? "allow" : "deny",
        });
      }
    }
  }

  test.each(policies)("says what the program does: %s", (_, rows) => {
    site.enforce(rows);
    agree();
  });

  test("also without a row, in every mode, and where it is closed", () => {
    site.enforce([]);
    site.setState({ enforcement: PolicyEnforcement.closed });
    agree();
    site.forgetState();
    for (const mode of [PolicyMode.closed, PolicyMode.open, PolicyMode.off]) {
      site.setMode(mode);
      agree();
    }
    site.setMode(PolicyMode.closed);
    site.enforce(EVERYTHING);
    site.policies.delete(LOOPBACK_IFINDEX);
    agree();
  });
});

const EVERY_FLOW = {
  last: 0,
  follow: false,
  clusters: [],
  namespaces: [],
  pods: [],
  labels: [],
  verdicts: [],
  protocols: [],
  ports: [],
};
