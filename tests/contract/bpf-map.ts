// What every BpfMap promises, in memory and in the kernel alike.
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { ipcacheKeyFromPrefix, mapAddressFromAddress } from "../../bpf/address.ts";
import type { MapSpec } from "../../bpf/codec.ts";
import {
  ClusterDrill,
  ClusterHealth,
  type Backend,
  type BackendKey,
  type IpcacheEntry,
} from "../../bpf/gen/layout.ts";
import { backendsMap, clusterStateMap, ipcacheMap } from "../../bpf/gen/maps.ts";
import type { BpfMap } from "../../bpf/map.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { parseAddress, parsePrefix } from "../../mesh/core/address.ts";

export interface MapMaker {
  create<K, V>(spec: MapSpec<K, V>, maxEntries: number): BpfMap<K, V>;
}

/** Small enough to fill, large enough for several batches of any implementation. */
const MAX_ENTRIES = 5_000;

export function testBpfMap(name: string, setup: () => MapMaker): void {
  describe(`BpfMap (${name})`, () => {
    let maker: MapMaker;
    beforeAll(() => {
      maker = setup();
    });

    describe("hash", () => {
      let map: BpfMap<BackendKey, Backend>;
      beforeEach(() => {
        map = maker.create(backendsMap, MAX_ENTRIES);
      });
      afterEach(() => map.close());

      test("get() gives back what put() wrote, and undefined for nothing", () => {
        expect(map.get({ backendId: 1 })).toBeUndefined();
        map.put({ backendId: 1 }, backend(80));
        map.put({ backendId: 1 }, backend(81));
        expect(map.get({ backendId: 1 })).toEqual(backend(81));
        expect(map.get({ backendId: 2 })).toBeUndefined();
      });

      test("delete() says whether there was a row", () => {
        map.put({ backendId: 1 }, backend(80));
        expect(map.delete({ backendId: 1 })).toBe(true);
        expect(map.delete({ backendId: 1 })).toBe(false);
        expect(map.get({ backendId: 1 })).toBeUndefined();
      });

      test("entries() gives every row once", () => {
        expect([...map.entries()]).toEqual([]);
        map.putBatch(rows(MAX_ENTRIES));
        const found = [...map.entries()].sort(([a], [b]) => a.backendId - b.backendId);
        expect(found).toEqual([...rows(MAX_ENTRIES)]);
      });

      test("entries() allows its rows to be deleted on the way", () => {
        map.putBatch(rows(MAX_ENTRIES));
        for (const [key] of map.entries()) map.delete(key);
        expect([...map.entries()]).toEqual([]);
      });

      test("putBatch() and deleteBatch() do many rows, and passing over missing ones is fine", () => {
        map.putBatch(rows(4_500));
        expect(map.get({ backendId: 4_500 })).toEqual(backend(4_500));
        map.deleteBatch(keys(3, MAX_ENTRIES, 3));
        expect([...map.entries()]).toHaveLength(3_000);
        expect(map.get({ backendId: 4_500 })).toBeUndefined();
        expect(map.get({ backendId: 4_499 })).toEqual(backend(4_499));
        map.deleteBatch(keys(1, MAX_ENTRIES, 1));
        expect([...map.entries()]).toEqual([]);
      });

      test("putRows() writes rows of any shape, more than one call takes", async () => {
        const ports = Array.from({ length: 4_500 }, (_, i) => i + 1);
        // The same memory for every key, as a caller in a hurry has it.
        const key = { backendId: 0 };
        await map.putRows(ports, {
          toKey: (port) => Object.assign(key, { backendId: port }),
          toValue: backend,
        });
        const found = [...map.entries()].sort(([a], [b]) => a.backendId - b.backendId);
        expect(found).toEqual([...rows(4_500)]);
        await map.putRows([], { toKey: () => key, toValue: () => backend(1) });
        expect(found).toHaveLength(4_500);
      });

      test("close() lets putRows() end first", async () => {
        const ports = Array.from({ length: 4_500 }, (_, i) => i + 1);
        const conversion = { toKey: (port: number) => ({ backendId: port }), toValue: backend };
        const written = map.putRows(ports.slice(0, 4_000), conversion);
        map.close();
        await written;
      });

      test("a full map refuses new rows with resource_exhausted and takes changes", async () => {
        map.putBatch(rows(MAX_ENTRIES));
        const key = { backendId: MAX_ENTRIES + 1 };
        for (const write of [
          () => map.put(key, backend(1)),
          () => map.putBatch([[key, backend(1)]]),
        ])
          expect(codeOf(write)).toBe("resource_exhausted");
        for (const count of [1, 100])
          await expect(
            map.putRows(
              Array.from({ length: count }, (_, i) => MAX_ENTRIES + 1 + i),
              {
                toKey: (backendId) => ({ backendId }),
                toValue: backend,
              },
            ),
          ).rejects.toMatchObject({ code: "resource_exhausted" });
        map.put({ backendId: 1 }, backend(2));
        expect(map.get({ backendId: 1 })).toEqual(backend(2));
        expect(map.maxEntries).toBe(MAX_ENTRIES);
      });

      test("writes counts calls that write and no others", () => {
        map.put({ backendId: 1 }, backend(1));
        map.putBatch(rows(100));
        map.get({ backendId: 1 });
        expect([...map.entries()]).toHaveLength(100);
        expect(map.writes).toBe(2);
        map.delete({ backendId: 1 });
        map.putBatch([]);
        expect(map.writes).toBe(3);
      });
    });

    describe("array", () => {
      test("has all rows from the start, zero, and none can be deleted", () => {
        using map = maker.create(clusterStateMap, 4);
        const zero = {
          drillExpiresNs: 0n,
          drainExpiresNs: 0n,
          healthIpv4: ClusterHealth.healthy,
          healthIpv6: ClusterHealth.healthy,
          heldBackPercentIpv4: 0,
          heldBackPercentIpv6: 0,
          drainedPercent: 0,
          drill: ClusterDrill.none,
        };
        expect([...map.entries()]).toEqual([0, 1, 2, 3].map((id) => [id, zero]));
        const down = { ...zero, healthIpv4: ClusterHealth.down, drillExpiresNs: 2n ** 63n };
        map.put(3, down);
        expect(map.get(3)).toEqual(down);
        expect(map.get(4)).toBeUndefined();
        expect(() => map.delete(3)).toThrow(/Cannot delete from map "cluster_state"/);
      });
    });

    describe("lpm_trie", () => {
      test("a full map refuses new rows with resource_exhausted", () => {
        using map = maker.create(ipcacheMap, 1);
        const key = (prefix: string) => ipcacheKeyFromPrefix(parsePrefix(prefix));
        map.put(key("10.0.0.1/32"), entry(1));
        expect(codeOf(() => map.put(key("10.0.0.2/32"), entry(2)))).toBe("resource_exhausted");
        expect(codeOf(() => map.putBatch([[key("10.0.0.2/32"), entry(2)]]))).toBe(
          "resource_exhausted",
        );
      });

      test("get() finds the longest prefix; put() and delete() mean one prefix", () => {
        using map = maker.create(ipcacheMap, 100);
        const put = (prefix: string, identity: number): void =>
          map.put(ipcacheKeyFromPrefix(parsePrefix(prefix)), entry(identity));
        const find = (address: string): number | undefined =>
          map.get({ prefixLength: 128, address: mapAddressFromAddress(parseAddress(address)) })
            ?.identity;
        map.putBatch([[ipcacheKeyFromPrefix(parsePrefix("10.0.0.0/8")), entry(8)]]);
        put("10.1.0.0/16", 16);
        put("10.1.2.3/32", 32);
        put("fd00::/16", 6);
        expect(["10.2.0.1", "10.1.0.1", "10.1.2.3", "fd00::1", "11.0.0.1"].map(find)).toEqual([
          8,
          16,
          32,
          6,
          undefined,
        ]);
        expect(map.delete(ipcacheKeyFromPrefix(parsePrefix("10.1.0.0/16")))).toBe(true);
        expect(map.delete(ipcacheKeyFromPrefix(parsePrefix("10.1.0.0/16")))).toBe(false);
        expect(find("10.1.0.1")).toBe(8);
        const identities = new Set([...map.entries()].map(([, { identity }]) => identity));
        expect(identities).toEqual(new Set([32, 8, 6]));
      });
    });
  });
}

function codeOf(work: () => void): string | undefined {
  try {
    work();
  } catch (error) {
    return error instanceof MeshError ? error.code : String(error);
  }
  return undefined;
}

function backend(port: number): Backend {
  const address = mapAddressFromAddress(parseAddress("10.0.0.1"));
  return { address, port, protocol: 6, state: 0, clusterId: 3 };
}

function entry(identity: number): IpcacheEntry {
  return { identity, tunnelEndpoint: new Uint8Array(16), clusterId: 1, encryptionKey: 0 };
}

function* rows(count: number): Generator<readonly [BackendKey, Backend]> {
  for (let id = 1; id <= count; id++) yield [{ backendId: id }, backend(id)];
}

function* keys(first: number, last: number, step: number): Generator<BackendKey> {
  for (let backendId = first; backendId <= last; backendId += step) yield { backendId };
}
