import { expect, test } from "@jest/globals";
import { createConnectionCollector } from "../../../../agent/enforcement/collect-connections.ts";
import { mapAddressFromText } from "../../../../bpf/address.ts";
import { ConnectionState, TrafficDirection } from "../../../../bpf/gen/layout.ts";
import { connectionsMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const SECOND_NS = 1_000_000_000n;
const NOW_NS = 100_000n * SECOND_NS;

function create() {
  const map = createMemoryMap(connectionsMap);
  const clock = createFakeClock();
  const collector = createConnectionCollector({
    map,
    kernelNowNs: () => NOW_NS,
    clock,
    log: silentLogger,
  });
  let port = 0;
  const add = (protocol: number, state: ConnectionState, silentSeconds: number): number => {
    const key = {
      local: mapAddressFromText("10.1.1.5"),
      remote: mapAddressFromText("10.1.1.6"),
      localPort: ++port,
      remotePort: 80,
      protocol,
    };
    map.put(key, {
      createdNs: 0n,
      lastSeenNs: NOW_NS - BigInt(silentSeconds) * SECOND_NS,
      lastReportNs: 0n,
      sentPackets: 1n,
      sentBytes: 1n,
      receivedPackets: 0n,
      receivedBytes: 0n,
      reportedSentPackets: 0n,
      reportedSentBytes: 0n,
      reportedReceivedPackets: 0n,
      reportedReceivedBytes: 0n,
      remoteIdentity: 300,
      rule: 0,
      revision: 1,
      ifindex: 7,
      direction: TrafficDirection.egress,
      state,
      sentFlags: 0,
      receivedFlags: 0,
    });
    return port;
  };
  const ports = (): number[] => [...map.entries()].map(([{ localPort }]) => localPort);
  return { clock, collector, add, ports };
}

test("removes what has ended and what is silent, each in its time", async () => {
  const { clock, collector, add, ports } = create();
  const { opening, open, closing, closed } = ConnectionState;
  const kept = [
    add(6, opening, 50),
    add(6, open, 7_000),
    add(6, closing, 200),
    add(6, closed, 5),
    add(17, open, 100),
  ];
  add(6, opening, 70);
  add(6, open, 9_000);
  add(6, closing, 400);
  add(6, closed, 15);
  add(17, open, 130);
  const end = new AbortController();
  const done = collector.run(end.signal);
  await clock.advance(30_000);
  expect(ports()).toEqual(kept);
  expect(collector.status()).toEqual({ seen: 10, removed: 5 });
  end.abort();
  await done;
});
