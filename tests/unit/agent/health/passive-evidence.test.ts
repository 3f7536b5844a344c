import { describe, expect, test } from "@jest/globals";
import type { BackendEvidence, ClusterEvidence } from "../../../../bpf/gen/layout.ts";
import { backendEvidenceMap, clusterEvidenceMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { createEvidenceReader } from "../../../../agent/health/passive-evidence.ts";

const place = { clusterId: 2, cluster: "west", family: 4, node: "west-1" } as const;

function start() {
  const clusterEvidence = createMemoryMap(clusterEvidenceMap);
  const backendEvidence = createMemoryMap(backendEvidenceMap);
  const reader = createEvidenceReader({
    maps: { clusterEvidence, backendEvidence },
    placeOf: (id) => (id === 7 ? place : undefined),
  });
  return {
    read: () => reader.read([2, 3]),
    cluster: (change: Partial<ClusterEvidence>) =>
      clusterEvidence.put(2, {
        connects: 0n,
        established: 0n,
        failed: 0n,
        retransmissions: 0n,
        aborted: 0n,
        ...change,
      }),
    backend: (backendId: number, change: Partial<BackendEvidence>) =>
      backendEvidence.put(
        { backendId },
        {
          failures: 0,
          retransmissions: 0,
          firstFailureNs: 0n,
          lastFailureNs: 0n,
          lastSuccessNs: 0n,
          ...change,
        },
      ),
  };
}

describe("createEvidenceReader()", () => {
  test("holds nothing old against anybody when it begins", () => {
    const { read, cluster, backend } = start();
    cluster({ failed: 100n });
    backend(7, { failures: 9 });
    expect(read()).toEqual({ passive: [], suspects: [] });
    expect(read()).toEqual({ passive: [], suspects: [] });
  });

  test("tells what is new of a cluster, also after its counts began again", () => {
    const { read, cluster } = start();
    read();
    cluster({ connects: 5n, failed: 2n });
    expect(read().passive).toEqual([
      { clusterId: 2, connects: 5, established: 0, failed: 2, retransmissions: 0, aborted: 0 },
    ]);
    cluster({ connects: 1n });
    expect(read().passive).toMatchObject([{ connects: 1, failed: 0 }]);
  });

  test("tells what is new of a backend that the datapath has, a success too", () => {
    const { read, backend } = start();
    read();
    backend(7, { failures: 2, retransmissions: 1 });
    backend(8, { failures: 2 });
    expect(read().suspects).toEqual([
      { backendId: 7, ...place, failures: 2, established: 0, retransmissions: 1 },
    ]);
    backend(7, { failures: 3, retransmissions: 1 });
    expect(read().suspects).toMatchObject([{ failures: 1, retransmissions: 0 }]);
    backend(7, { failures: 1, lastSuccessNs: 9n });
    expect(read().suspects).toMatchObject([{ failures: 1, established: 1 }]);
    expect(read().suspects).toEqual([]);
  });
});
