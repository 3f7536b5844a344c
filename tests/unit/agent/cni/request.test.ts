import { describe, expect, test } from "@jest/globals";
import { parseEnvironment, parseNetworkConfig } from "../../../../agent/cni/request.ts";

const ENV = {
  CNI_COMMAND: "ADD",
  CNI_CONTAINERID: "abc.1-2_3",
  CNI_NETNS: "/run/netns/x",
  CNI_IFNAME: "eth0",
  CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-1",
};
const CONFIG = { cniVersion: "1.0.0", name: "net", type: "tombolo-cni", stateDirectory: "/s" };

describe("parseEnvironment()", () => {
  test("reads a whole environment", () => {
    expect(parseEnvironment(ENV)).toEqual({
      command: "ADD",
      containerId: "abc.1-2_3",
      netns: "/run/netns/x",
      ifName: "eth0",
      pod: "shop/cart-1",
    });
  });

  test("lets DEL come without a namespace, and VERSION without anything", () => {
    const env = { ...ENV, CNI_COMMAND: "DEL", CNI_NETNS: "" };
    expect(parseEnvironment(env).netns).toBeUndefined();
    expect(parseEnvironment({ CNI_COMMAND: "VERSION" }).command).toBe("VERSION");
  });

  test("lets GC and STATUS come without a container", () => {
    for (const command of ["GC", "STATUS"]) {
      expect(parseEnvironment({ CNI_COMMAND: command }).command).toBe(command);
    }
  });

  for (const [name, value] of [
    ["CNI_COMMAND", "RUN"],
    ["CNI_COMMAND", undefined],
    ["CNI_CONTAINERID", ""],
    ["CNI_CONTAINERID", "../etc"],
    ["CNI_NETNS", undefined],
    ["CNI_NETNS", "relative"],
    ["CNI_NETNS", "/run/netns/a b"],
    ["CNI_IFNAME", ""],
    ["CNI_IFNAME", "a/b"],
    ["CNI_IFNAME", ".."],
    ["CNI_IFNAME", "sixteen-letters-"],
  ] as const) {
    test(`refuses ${name}=${value ?? "(unset)"} by name`, () => {
      expect(() => parseEnvironment({ ...ENV, [name]: value })).toThrow(`Cannot use ${name}`);
    });
  }
});

describe("parseNetworkConfig()", () => {
  test("reads a configuration", () => {
    expect(parseNetworkConfig(CONFIG)).toEqual({
      cniVersion: "1.0.0",
      name: "net",
      stateDirectory: "/s",
      chained: false,
      prevResult: undefined,
      validAttachments: undefined,
    });
  });

  test("reads what a runtime of CNI 1.1 knows of, for GC", () => {
    const parse = (list: unknown) =>
      parseNetworkConfig({ ...CONFIG, cniVersion: "1.1.0", "cni.dev/valid-attachments": list });
    expect(parse([{ containerID: "c1", ifname: "eth0" }]).validAttachments).toEqual([
      { containerId: "c1", ifName: "eth0" },
    ]);
    expect(parse(null).validAttachments).toEqual([]);
    for (const wrong of [{}, [{ containerID: "c1" }], [7]]) {
      expect(() => parse(wrong)).toThrow("cni.dev/valid-attachments");
    }
  });

  for (const [what, change, code] of [
    ["a version of the future", { cniVersion: "2.0.0" }, "unsupported"],
    ["no version, which means 0.2.0", { cniVersion: undefined }, "unsupported"],
    ["no name", { name: undefined }, "invalid_argument"],
    ["chained that is no flag", { chained: "yes" }, "invalid_argument"],
    ["a relative state directory", { stateDirectory: "s" }, "invalid_argument"],
    ["a previous result that is none", { prevResult: [] }, "invalid_argument"],
  ] as const) {
    test(`refuses ${what}`, () => {
      expect(() => parseNetworkConfig({ ...CONFIG, ...change })).toThrow(
        expect.objectContaining({ code }),
      );
    });
  }
});
