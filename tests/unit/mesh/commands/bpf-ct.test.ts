import { expect, test } from "@jest/globals";
import { mapAddressFromAddress } from "../../../../bpf/address.ts";
import { ConnectionState, TrafficDirection } from "../../../../bpf/gen/layout.ts";
import { connectionsMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { collectConnections } from "../../../../mesh/commands/bpf-ct.ts";
import { parseAddress } from "../../../../mesh/core/address.ts";

test("collectConnections() shows both ends, who opened it, and what passed", () => {
  const connections = createMemoryMap(connectionsMap);
  const address = (text: string): Uint8Array => mapAddressFromAddress(parseAddress(text));
  const none = {
    createdNs: 1n,
    lastSeenNs: 2n,
    lastReportNs: 2n,
    reportedSentPackets: 0n,
    reportedSentBytes: 0n,
    reportedReceivedPackets: 0n,
    reportedReceivedBytes: 0n,
    sentFlags: 0,
    receivedFlags: 0,
  };
  connections.put(
    {
      local: address("fd00::1"),
      remote: address("fd00::2"),
      localPort: 40_000,
      remotePort: 80,
      protocol: 6,
    },
    {
      ...none,
      sentPackets: 3n,
      sentBytes: 300n,
      receivedPackets: 2n,
      receivedBytes: 200n,
      remoteIdentity: 65_538,
      rule: 5,
      revision: 7,
      ifindex: 12,
      direction: TrafficDirection.egress,
      state: ConnectionState.open,
    },
  );
  expect(collectConnections({ connections })).toEqual([
    {
      protocol: "TCP",
      local: "[fd00::1]:40000",
      remote: "[fd00::2]:80",
      direction: "egress",
      state: "open",
      remoteIdentity: 65_538,
      rule: 5,
      revision: 7,
      ifindex: 12,
      sentPackets: 3n,
      sentBytes: 300n,
      receivedPackets: 2n,
      receivedBytes: 200n,
    },
  ]);
});
