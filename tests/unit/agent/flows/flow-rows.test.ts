import { expect, test } from "@jest/globals";
import { flowRowsFromMap } from "../../../../agent/flows/flow-rows.ts";
import { FlowState, IpProtocol, type Flow } from "../../../../bpf/gen/layout.ts";
import { flowsMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";

const ROW: Flow = {
  netnsCookie: 1n,
  startedNs: 2n,
  serviceId: 3,
  backendId: 4,
  clusterId: 5,
  protocol: IpProtocol.udp,
  state: FlowState.connecting,
  port: 6,
  address: new Uint8Array(16),
};

test("rows are found by cookie; some may be lost once the map is three quarters full", async () => {
  const map = createMemoryMap(flowsMap, { maxEntries: 100 });
  const rows = flowRowsFromMap(map);
  for (let i = 0; i < 74; i++) map.put({ socketCookie: BigInt(i) }, ROW);
  expect(rows.of(73n)).toEqual(ROW);
  expect(rows.of(74n)).toBeUndefined();
  expect(await rows.mayHaveLost()).toBe(false);
  map.put({ socketCookie: 74n }, ROW);
  expect(await rows.mayHaveLost()).toBe(true);
});
