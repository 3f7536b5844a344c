import { describe, expect, test } from "@jest/globals";
import {
  etcdEndpointsFromSlices,
  type EndpointSlice,
} from "../../../../agent/kubernetes/endpoints.ts";

const slice = (addressType: string, endpoints: EndpointSlice["endpoints"]): EndpointSlice => ({
  metadata: { name: "tombolo-apiserver-x" },
  addressType,
  ...(endpoints === undefined ? {} : { endpoints }),
});

describe("etcdEndpointsFromSlices()", () => {
  test("takes every ready address of both families, once and sorted", () => {
    expect(
      etcdEndpointsFromSlices([
        slice("IPv6", [{ addresses: ["fd00::5"] }]),
        slice("IPv4", [
          { addresses: ["10.0.0.9"], conditions: { ready: true } },
          { addresses: ["10.0.0.1"], conditions: { ready: true } },
          { addresses: ["10.0.0.1"], conditions: { ready: true } },
        ]),
      ]),
    ).toEqual(["https://10.0.0.1:32379", "https://10.0.0.9:32379", "https://[fd00::5]:32379"]);
  });

  test("passes over what is not ready or ends, as long as something else is", () => {
    const ending = { addresses: ["10.0.0.2"], conditions: { ready: true, terminating: true } };
    const starting = { addresses: ["10.0.0.3"], conditions: { ready: false } };
    const ready = { addresses: ["10.0.0.1"] };
    expect(etcdEndpointsFromSlices([slice("IPv4", [ending, starting, ready])])).toEqual([
      "https://10.0.0.1:32379",
    ]);
    expect(etcdEndpointsFromSlices([slice("IPv4", [ending, starting])])).toEqual([
      "https://10.0.0.2:32379",
      "https://10.0.0.3:32379",
    ]);
  });

  test("knows no names, and slices without endpoints", () => {
    expect(
      etcdEndpointsFromSlices([
        slice("FQDN", [{ addresses: ["etcd.example"] }]),
        slice("IPv4", null),
        slice("IPv4", undefined),
        slice("IPv4", [{}]),
      ]),
    ).toEqual([]);
  });
});
