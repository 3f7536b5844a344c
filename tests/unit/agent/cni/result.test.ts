import { describe, expect, test } from "@jest/globals";
import { formatError, formatResult } from "../../../../agent/cni/result.ts";
import { MeshError, type ErrorCode } from "../../../../mesh/core/errors.ts";

const ATTACHMENT = {
  hostInterface: "tbl0",
  hostMac: "02:00:00:00:00:01",
  podInterface: "eth0",
  podMac: "02:00:00:00:00:02",
  netns: "/n",
  mtu: 1450,
  addresses: [
    { family: 4, address: "10.1.1.2", gateway: "10.1.1.1" },
    { family: 6, address: "fd00::2", gateway: "fd00::1" },
  ],
} as const;

describe("formatResult()", () => {
  test("has the shape of version 1.0.0", () => {
    expect(formatResult(ATTACHMENT, { cniVersion: "1.0.0", prevResult: undefined })).toEqual({
      cniVersion: "1.0.0",
      interfaces: [
        { name: "tbl0", mac: "02:00:00:00:00:01" },
        { name: "eth0", mac: "02:00:00:00:00:02", sandbox: "/n" },
      ],
      ips: [
        { address: "10.1.1.2/32", gateway: "10.1.1.1", interface: 1 },
        { address: "fd00::2/128", gateway: "fd00::1", interface: 1 },
      ],
      routes: [
        { dst: "0.0.0.0/0", gw: "10.1.1.1" },
        { dst: "::/0", gw: "fd00::1" },
      ],
      dns: {},
    });
  });

  test("tells the MTU in version 1.1.0", () => {
    const result = formatResult(ATTACHMENT, { cniVersion: "1.1.0", prevResult: undefined });
    expect(result).toMatchObject({
      cniVersion: "1.1.0",
      interfaces: [{ mtu: ATTACHMENT.mtu }, { mtu: ATTACHMENT.mtu }],
    });
    expect(JSON.stringify(result)).not.toContain('"version"');
  });

  test("names the family of addresses in versions before 1.0.0", () => {
    const { ips } = formatResult(ATTACHMENT, { cniVersion: "0.3.1", prevResult: undefined });
    expect(ips).toMatchObject([{ version: "4" }, { version: "6" }]);
  });

  test("counts interfaces behind those of an earlier plugin", () => {
    const prevResult = { interfaces: [{ name: "a" }, { name: "b" }], ips: [{ interface: 0 }] };
    const result = formatResult(ATTACHMENT, { cniVersion: "1.0.0", prevResult });
    expect(result["ips"]).toMatchObject([{ interface: 0 }, { interface: 3 }, { interface: 3 }]);
  });
});

describe("formatError()", () => {
  for (const [stage, code, number] of [
    ["environment", "invalid_argument", 4],
    ["decode", "invalid_argument", 6],
    ["config", "invalid_argument", 7],
    ["config", "unsupported", 1],
    ["work", "unavailable", 11],
    ["work", "not_found", 3],
    ["work", "internal", 5],
    ["work", "resource_exhausted", 100],
    ["work", "already_exists", 101],
    ["work", "conflict", 102],
  ] as const) {
    test(`says ${number} for ${code} at ${stage}`, () => {
      const error = new MeshError(code satisfies ErrorCode, "Cannot do it\nmore", { hint: "try" });
      expect(formatError(error, { cniVersion: "1.0.0", stage })).toEqual({
        cniVersion: "1.0.0",
        code: number,
        msg: "Cannot do it",
        details: "more\ntry",
      });
    });
  }

  test("says 5 for an error that is not ours", () => {
    const answer = formatError(new Error("EIO"), { cniVersion: "1.0.0", stage: "work" });
    expect(answer).toMatchObject({ code: 5, msg: "EIO" });
  });
});
