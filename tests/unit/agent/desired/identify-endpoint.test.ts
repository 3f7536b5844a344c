import { describe, expect, test } from "@jest/globals";
import {
  identifyEndpoint,
  namedPortsOf,
  podAtAddress,
} from "../../../../agent/desired/identify-endpoint.ts";
import type { EndpointAddress } from "../../../../mesh/core/node.ts";
import type { LocalPod } from "../../../../mesh/kvstore/records/pod.ts";

const HTTP = { name: "http", port: 8080, protocol: "TCP" } as const;

function address(podName: string, identity = 65_600): EndpointAddress {
  return {
    prefix: "10.1.1.5",
    hostIp: "192.0.2.1",
    identity,
    encryptionKey: 0,
    namespace: "shop",
    podName,
    serviceAccount: "default",
    namedPorts: [HTTP],
  };
}

function known(pods: LocalPod[], addresses: EndpointAddress[]) {
  return {
    pods: {
      get: (key: string) => pods.find(({ namespace, name }) => key === `${namespace}/${name}`),
    },
    endpoints: { get: (key: string) => addresses.find(({ prefix }) => prefix === key) },
  };
}

describe("identifyEndpoint()", () => {
  const endpoint = { pod: "shop/cart", addresses: ["10.1.1.5", "fd00::5"] };

  test("goes by the pod's name before it has an address", () => {
    const pod = { namespace: "shop", name: "cart", identity: 65_601, namedPorts: [HTTP] };
    expect(identifyEndpoint(endpoint, known([pod], [address("cart")]))).toEqual({
      identity: 65_601,
      namedPorts: [HTTP],
    });
  });

  test("goes by its address where nobody knows its name", () => {
    expect(identifyEndpoint(endpoint, known([], [address("cart")]))?.identity).toBe(65_600);
    const nameless = { ...endpoint, pod: "" };
    expect(identifyEndpoint(nameless, known([], [address("other")]))?.identity).toBe(65_600);
  });

  test("does not take what is known of the pod that had the address before", () => {
    expect(identifyEndpoint(endpoint, known([], [address("other")]))).toBeUndefined();
    expect(identifyEndpoint(endpoint, known([], []))).toBeUndefined();
  });
});

test("ports of protocols that no policy can name are left out", () => {
  expect(namedPortsOf([HTTP, { name: "odd", port: 1, protocol: "ICMP" }])).toEqual([HTTP]);
});

test("an address of a node or of nobody has no pod", () => {
  expect(podAtAddress(undefined)).toEqual([]);
  expect(podAtAddress(address(""))).toEqual([]);
  expect(podAtAddress(address("cart"))).toEqual(["shop/cart"]);
});
