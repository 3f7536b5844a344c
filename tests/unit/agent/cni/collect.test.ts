import { expect, test } from "@jest/globals";
import { staleAttachments } from "../../../../agent/cni/collect.ts";

test("staleAttachments() names each unknown interface once", () => {
  const records = [
    { containerId: "a", ifName: "eth0" },
    { containerId: "a", ifName: "eth1" },
    { containerId: "b", ifName: "eth0" },
    { containerId: "b", ifName: "eth0" },
  ];
  const valid = [{ containerId: "a", ifName: "eth0" }];
  expect(staleAttachments(records, valid)).toEqual([
    { containerId: "a", ifName: "eth1" },
    { containerId: "b", ifName: "eth0" },
  ]);
  expect(staleAttachments([], valid)).toEqual([]);
});
