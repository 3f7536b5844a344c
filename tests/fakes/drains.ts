// A drain as tests need one: of the whole of "west", for ever, unless they say otherwise.
import type { DrainRecord } from "../../mesh/kvstore/records/drain.ts";

export function testDrain(parts: Partial<DrainRecord> = {}): DrainRecord {
  return {
    id: "cluster-west",
    cluster: "west",
    clusterId: undefined,
    percent: 100,
    services: [],
    expiresAtMs: 0,
    graceSeconds: 30,
    reason: "",
    createdAtMs: 1_000,
    ...parts,
  };
}
