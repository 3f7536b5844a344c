import { describe, expect, test } from "@jest/globals";
import { probeRequestsMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { heardRequests, rowsOfClusters } from "../../../../agent/health/cluster-rows.ts";

function start() {
  const map = createMemoryMap(probeRequestsMap);
  for (const id of [1, 2, 7]) {
    const row = map.get(id);
    if (row !== undefined) map.put(id, { ...row, lastNs: BigInt(id) * 1_000_000n });
  }
  return map;
}

describe("rowsOfClusters()", () => {
  test("reads those that are asked for, and not beyond the last of them", () => {
    const map = start();
    const asked: (number | undefined)[] = [];
    const entries = (rows?: number) => {
      asked.push(rows);
      return map.entries(rows);
    };
    const found = [...rowsOfClusters({ entries }, [7, 2])].map(([id, { lastNs }]) => [id, lastNs]);
    expect(found).toEqual([
      [2, 2_000_000n],
      [7, 7_000_000n],
    ]);
    expect(asked).toEqual([8]);
  });

  test("reads nothing for nobody", () => {
    expect([...rowsOfClusters(start(), [])]).toEqual([]);
  });
});

describe("heardRequests()", () => {
  test("leaves out whoever was never heard", () => {
    expect([...heardRequests(start(), [1, 3])]).toEqual([[1, 1]]);
  });
});
