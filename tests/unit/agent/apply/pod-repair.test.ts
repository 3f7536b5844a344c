import { describe, expect, test } from "@jest/globals";
import { parseAddress } from "../../../../mesh/core/address.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { mapAddressFromAddress } from "../../../../bpf/address.ts";
import { endpointsMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { createPodRepair } from "../../../../agent/apply/pod-repair.ts";
import type { AddressRecord } from "../../../../agent/cni/address-book.ts";
import { macBytes, pairNames } from "../../../../agent/cni/wiring.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

const NAMES = pairNames("abc", "eth0");
const keyOf = (address: string) => ({ address: mapAddressFromAddress(parseAddress(address)) });

function record(address: string, containerId = "abc"): AddressRecord {
  return { address, containerId, ifName: "eth0", netns: "/n", pod: "shop/cart", bpfRoot: "/b" };
}

function create(
  records: AddressRecord[],
  interfaces: Record<string, number>,
  undecided: readonly number[] = [],
) {
  const endpoints = createMemoryMap(endpointsMap);
  const attached: number[] = [];
  const clock = createFakeClock();
  const repair = createPodRepair({
    book: { list: () => Promise.resolve(records) },
    endpoints,
    interfaceIndex(name) {
      const index = interfaces[name];
      if (index === undefined) throw new MeshError("not_found", `Cannot find ${name}`);
      return index;
    },
    mayAttach: (ifindex) => !undecided.includes(ifindex),
    attachPod: (ifindex) => attached.push(ifindex),
    clock,
    log: silentLogger,
  });
  return { endpoints, attached, clock, repair };
}

describe("createPodRepair()", () => {
  test("finds the interface that another plugin made by its record", async () => {
    const pair = {
      hostInterface: "veth1a2b",
      hostMac: "02:00:00:00:00:01",
      podMac: "02:00:00:00:00:02",
    };
    const { endpoints, attached, repair } = create([{ ...record("10.1.1.5"), pair }], {
      veth1a2b: 9,
    });
    expect(await repair.repair()).toEqual({ written: 1, removed: 0 });
    expect(endpoints.get(keyOf("10.1.1.5"))).toEqual({
      ifindex: 9,
      podMac: macBytes(pair.podMac),
      hostMac: macBytes(pair.hostMac),
    });
    expect(attached).toEqual([9]);
  });

  test("leaves a pod the program that it has until its policy is known", async () => {
    const undecided = [7];
    const { attached, repair } = create(
      [record("10.1.1.5")],
      { [NAMES.hostInterface]: 7 },
      undecided,
    );
    expect(await repair.repair()).toEqual({ written: 1, removed: 0 });
    expect(attached).toEqual([]);
    undecided.pop();
    await repair.repair();
    expect(attached).toEqual([7]);
  });

  test("writes the rows of pods that lost them, and attaches the program once a pod", async () => {
    const records = [record("10.1.1.5"), record("fd00::5")];
    const { endpoints, attached, repair } = create(records, { [NAMES.hostInterface]: 7 });
    expect(await repair.repair()).toEqual({ written: 2, removed: 0 });
    expect(endpoints.get(keyOf("fd00::5"))).toEqual({
      ifindex: 7,
      podMac: macBytes(NAMES.podMac),
      hostMac: macBytes(NAMES.hostMac),
    });
    expect(await repair.repair()).toEqual({ written: 0, removed: 0 });
    expect(attached).toEqual([7]);
  });

  test("corrects a row that names another interface", async () => {
    const interfaces = { [NAMES.hostInterface]: 7 };
    const { endpoints, repair } = create([record("10.1.1.5")], interfaces);
    await repair.repair();
    interfaces[NAMES.hostInterface] = 9;
    expect(await repair.repair()).toEqual({ written: 1, removed: 0 });
    expect(endpoints.get(keyOf("10.1.1.5"))?.ifindex).toBe(9);
  });

  test("removes rows of nobody, and of pods whose interface is gone", async () => {
    const records = [record("10.1.1.5")];
    const { endpoints, repair } = create(records, {});
    const row = { ifindex: 3, podMac: new Uint8Array(6), hostMac: new Uint8Array(6) };
    endpoints.put(keyOf("10.1.1.5"), row);
    endpoints.put(keyOf("10.1.1.6"), row);
    expect(await repair.repair()).toEqual({ written: 0, removed: 2 });
    expect([...endpoints.entries()]).toEqual([]);
  });

  test("run() looks again and again, and survives a look that fails", async () => {
    const records: AddressRecord[] = [];
    const { clock, endpoints, repair } = create(records, { [NAMES.hostInterface]: 7 });
    const end = new AbortController();
    const done = repair.run(end.signal);
    await clock.settle();
    records.push({ ...record("not an address") });
    await clock.advance(30_000);
    records[0] = record("10.1.1.5");
    await clock.advance(30_000);
    expect([...endpoints.entries()].length).toBe(1);
    end.abort();
    await done;
  });
});
