import { describe, expect, test } from "@jest/globals";
import { flowOfSocket, judgeFlow, type FlowTarget } from "../../../../agent/flows/flow-target.ts";
import type { DiagnosedSocket } from "../../../../agent/flows/sock-diag.ts";
import { backendKey, type BackendState } from "../../../../agent/apply/service-state.ts";
import { mapAddressFromText } from "../../../../bpf/address.ts";
import { FlowState, IpProtocol, type Flow } from "../../../../bpf/gen/layout.ts";

const BACKEND = { clusterId: 2, address: "10.2.1.5", port: 80, protocol: "TCP" } as const;
const known = {
  backends: new Map<number, BackendState>([[7, { value: BACKEND, references: 1 }]]),
  backendIds: new Map([[backendKey(BACKEND), 7]]),
};

function socketTo(address: string, port = 80): DiagnosedSocket {
  return {
    family: 6,
    protocol: "TCP",
    connecting: false,
    cookie: 1n,
    address: mapAddressFromText(address),
    port,
    id: new Uint8Array(48),
  };
}

function flowTo(address: string, fields: Partial<Flow> = {}): Flow {
  return {
    netnsCookie: 1n,
    startedNs: 1n,
    serviceId: 3,
    backendId: 7,
    clusterId: 2,
    protocol: IpProtocol.tcp,
    state: FlowState.established,
    port: 80,
    address: mapAddressFromText(address),
    ...fields,
  };
}

const socket = socketTo("10.2.1.5");
const flow = flowTo("10.2.1.5");
const cluster = (clusterId: number, ...families: (4 | 6)[]): FlowTarget => ({
  kind: "cluster",
  clusterId,
  families,
});
const backends = (...ids: number[]): FlowTarget => ({ kind: "backends", ids: new Set(ids) });
const drained = (clusterId: number, ...serviceIds: number[]): FlowTarget => ({
  kind: "drained",
  clusterId,
  serviceIds: new Set(serviceIds),
});

describe("a flow with a row", () => {
  for (const [what, target, verdict] of [
    ["of its cluster and family", cluster(2, 4), "reset"],
    ["of its cluster, other family", cluster(2, 6), "keep"],
    ["of another cluster", cluster(1, 4, 6), "keep"],
    ["of its backend", backends(1, 7), "reset"],
    ["of other backends", backends(1, 2), "keep"],
    ["of its service's drain", drained(2, 3, 4), "reset"],
    ["of a drain of services that others cannot serve", drained(2), "keep"],
    ["of another service's drain", drained(2, 4), "keep"],
    ["of another cluster's drain", drained(1, 3), "keep"],
  ] as const) {
    test(`${what}: ${verdict}`, () => {
      expect(judgeFlow(target, { socket, flow }, known)).toBe(verdict);
    });
  }

  test("is judged by its row although the backend is known no more", () => {
    const none = { backends: new Map(), backendIds: new Map() };
    expect(judgeFlow(cluster(2, 4), { socket, flow }, none)).toBe("reset");
  });
});

describe("a socket without a row", () => {
  for (const [what, target, verdict] of [
    ["to the cluster", cluster(2, 4), "reset-if-lost"],
    ["to the cluster, other family", cluster(2, 6), "keep"],
    ["to the backend", backends(7), "reset-if-lost"],
    ["to a backend that is not known", backends(8), "keep"],
    ["to what drains", drained(2, 3), "keep"],
  ] as const) {
    test(`${what}: ${verdict}`, () => {
      expect(judgeFlow(target, { socket, flow: undefined }, known)).toBe(verdict);
    });
  }

  test("to another port or address is kept", () => {
    for (const other of [socketTo("10.2.1.5", 81), socketTo("10.2.1.6")])
      for (const target of [cluster(2, 4, 6), backends(7)])
        expect(judgeFlow(target, { socket: other, flow: undefined }, known)).toBe("keep");
  });
});

test("a row is about the socket only while that is connected to the row's backend", () => {
  expect(flowOfSocket(socket, flow)).toBe(flow);
  expect(flowOfSocket(socket, flowTo("10.2.1.6"))).toBeUndefined();
  expect(flowOfSocket(socketTo("10.2.1.5", 81), flow)).toBeUndefined();
  expect(flowOfSocket(socket, undefined)).toBeUndefined();
});
