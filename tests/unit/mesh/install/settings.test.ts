import { describe, expect, test } from "@jest/globals";
import {
  parseNamespace,
  parseSettings,
  splitHostPort,
  textsFromSettings,
} from "../../../../mesh/install/settings.ts";

const NAME = { "cluster-name": "east", "cluster-id": "1" };

describe("parseSettings()", () => {
  test("takes a name and a number and has a default for everything else", () => {
    expect(parseSettings(NAME, "1.2.3")).toEqual({
      cluster: { name: "east", id: 1, maxConnectedClusters: 255 },
      namespace: "tombolo-system",
      image: "tombolo:1.2.3",
      cni: "network",
      chainAfter: undefined,
      underlayMtu: 1500,
      maxUnavailable: "1",
      apiServer: undefined,
      endpoints: [],
      joinEndpoint: undefined,
      acceptDrillsFrom: "own",
      policyDefaultScope: "local",
    });
  });

  for (const [texts, message] of [
    [{ "cluster-id": "0" }, "want a whole number from 1 to 255"],
    [{ "cluster-id": "one" }, 'Cannot use "one" as cluster id'],
    [{ "cluster-name": "East" }, 'Cannot use "East" as cluster name'],
    [{ "max-connected-clusters": "300" }, "want 255 or 511"],
    [{ namespace: "kube-system" }, 'Cannot use --namespace "kube-system"'],
    [{ namespace: "A_b" }, 'Cannot use --namespace "A_b"'],
    [{ image: "not an image" }, 'Cannot use --image "not an image"'],
    [{ cni: "bridge" }, 'Cannot use --cni "bridge": want one of network, chained, none'],
    [{ "chain-after": "10-aws.conflist" }, "Cannot use --chain-after with --cni network"],
    [{ cni: "chained", "chain-after": "../x.conf" }, 'Cannot use --chain-after "../x.conf"'],
    [{ mtu: "1349" }, "want a whole number from 1350 to 65535"],
    [{ "max-unavailable": "0" }, 'Cannot use --max-unavailable "0"'],
    [{ "max-unavailable": "101%" }, 'Cannot use --max-unavailable "101%"'],
    [{ "api-server": "10.0.0.1" }, 'Cannot use --api-server "10.0.0.1": want "HOST:PORT"'],
    [{ "api-server": "10.0.0.1:70000" }, "Cannot use --api-server"],
    [{ endpoint: ["http://10.0.0.1:32379"] }, "Cannot use --endpoint"],
    [{ "join-endpoint": "10.0.0.1" }, "Cannot use --join-endpoint"],
    [{ "policy-default-scope": "mesh" }, "Cannot use --policy-default-scope"],
    [{ "accept-drills-from": "all" }, 'Cannot use --accept-drills-from "all": want own or peers'],
  ] as const) {
    test(`refuses ${JSON.stringify(texts)}`, () => {
      expect(() => parseSettings({ ...NAME, ...texts }, "1.2.3")).toThrow(message);
    });
  }

  test("gives the same settings again from the texts that they make", () => {
    for (const more of [
      {},
      { image: "registry.example:5000/a/tombolo:v1@sha256:" + "0".repeat(64), mtu: "9000" },
      { cni: "chained", "chain-after": "10-aws.conflist", "max-unavailable": "10%" },
      {
        "api-server": "[fd00::1]:6443",
        endpoint: ["https://east.example:32379", "https://[fd00::1]:32379"],
        "join-endpoint": "east.example:32381",
        "accept-drills-from": "peers",
        "policy-default-scope": "all",
      },
    ]) {
      const settings = parseSettings({ ...NAME, ...more }, "1.2.3");
      expect(parseSettings(textsFromSettings(settings), "9.9.9")).toEqual(settings);
    }
  });
});

test("parseNamespace() takes a namespace of its own", () => {
  expect(parseNamespace("mesh")).toBe("mesh");
});

test("splitHostPort() takes brackets off", () => {
  expect(splitHostPort("[fd00::1]:6443")).toEqual({ host: "fd00::1", port: "6443" });
});
