import { describe, expect, test } from "@jest/globals";
import {
  encodeChainedConflist,
  encodeOwnConflist,
  findChainBase,
} from "../../../../agent/node/conflist.ts";

const OURS = { type: "tombolo-cni", stateDirectory: "/state", chained: true };
const chained = (text: string, name = "10-other.conflist") =>
  JSON.parse(encodeChainedConflist({ name, text }, "/state")) as unknown;

describe("encodeOwnConflist()", () => {
  test("is of 1.0.0, which every runtime knows, and offers 1.1.0", () => {
    expect(JSON.parse(encodeOwnConflist("/state"))).toEqual({
      cniVersion: "1.0.0",
      cniVersions: ["1.0.0", "1.1.0"],
      name: "tombolo",
      plugins: [{ type: "tombolo-cni", stateDirectory: "/state" }],
    });
  });
});

describe("findChainBase()", () => {
  const NAMES = ["05-tombolo.conflist", "20-b.conf", "10-a.conflist", "01.conflist.new", "x.txt"];

  test("takes the first that is not ours", () => {
    expect(findChainBase(NAMES, { chainAfter: undefined })).toBe("10-a.conflist");
    expect(findChainBase(["05-tombolo.conflist"], { chainAfter: undefined })).toBeUndefined();
  });

  test("takes the one that is named, and no other", () => {
    expect(findChainBase(NAMES, { chainAfter: "20-b.conf" })).toBe("20-b.conf");
    expect(findChainBase(NAMES, { chainAfter: "30-c.conf" })).toBeUndefined();
  });
});

describe("encodeChainedConflist()", () => {
  test("puts ours at the end of a list and leaves all else as it is", () => {
    const list = {
      cniVersion: "0.4.0",
      name: "aws-cni",
      disableCheck: true,
      plugins: [{ type: "aws-cni" }, { type: "portmap" }],
    };
    const wanted = { ...list, plugins: [...list.plugins, OURS] };
    expect(chained(JSON.stringify(list))).toEqual(wanted);
    expect(chained(JSON.stringify(wanted))).toEqual(wanted);
  });

  test("makes a list of a single configuration", () => {
    const single = { cniVersion: "0.3.1", name: "net", type: "ptp", ipam: { type: "host-local" } };
    expect(chained(JSON.stringify(single), "10.conf")).toEqual({
      cniVersion: "0.3.1",
      name: "net",
      plugins: [single, OURS],
    });
  });

  for (const [text, reason] of [
    ["{", "it is no JSON"],
    ["[]", "it names no network"],
    ["{}", "it names no network"],
    ['{"name":"x","plugins":[]}', "it has no plugins"],
  ] as const) {
    test(`refuses ${text}`, () => {
      expect(() => chained(text)).toThrow(
        `Cannot stand behind CNI configuration "10-other.conflist": ${reason}`,
      );
    });
  }
});
