import { describe, expect, test } from "@jest/globals";
import {
  bufferTable,
  createDesiredTables,
  DESIRED_KINDS,
} from "../../../../apiserver/export/desired.ts";

describe("createDesiredTables()", () => {
  test("names each kind's keys and canary as the wire has them", () => {
    const tables = createDesiredTables("east");
    expect(
      DESIRED_KINDS.map((kind) => [kind, tables[kind].prefix, tables[kind].canaryKey]),
    ).toEqual([
      [
        "identities",
        "cilium/state/identities/v1/id/",
        "cilium/synced/east/cilium/state/identities/v1",
      ],
      ["nodes", "cilium/state/nodes/v1/east/", "cilium/synced/east/cilium/state/nodes/v1"],
      ["ip", "cilium/state/ip/v1/default/", "cilium/synced/east/cilium/state/ip/v1"],
      ["services", "cilium/state/services/v1/east/", "cilium/synced/east/cilium/state/services/v1"],
      [
        "local-identities",
        "tombolo/local/identities/v1/east/",
        "cilium/synced/east/tombolo/local/identities/v1",
      ],
      [
        "local-services",
        "tombolo/local/services/v1/east/",
        "cilium/synced/east/tombolo/local/services/v1",
      ],
      [
        "policies",
        "tombolo/local/policies/v1/east/",
        "cilium/synced/east/tombolo/local/policies/v1",
      ],
      ["pods", "tombolo/local/pods/v1/east/", "cilium/synced/east/tombolo/local/pods/v1"],
    ]);
  });
});

describe("bufferTable()", () => {
  test("takes equal bytes for no change", () => {
    const table = bufferTable("test");
    expect(table.put("a", Buffer.from("1"))).toBe(true);
    expect(table.put("a", Buffer.from("1"))).toBe(false);
  });
});
