import { expect, test } from "@jest/globals";
import { ipcacheKeyFromPrefix, mapAddressFromAddress } from "../../../../bpf/address.ts";
import { ipcacheMap } from "../../../../bpf/gen/maps.ts";
import { createMemoryMap } from "../../../../bpf/memory-map.ts";
import { collectIpcache } from "../../../../mesh/commands/bpf-ipcache.ts";
import { parseAddress, parsePrefix } from "../../../../mesh/core/address.ts";

test("collectIpcache() sorts by family, address and length", () => {
  const ipcache = createMemoryMap(ipcacheMap);
  const common = { identity: 65_537, clusterId: 1, encryptionKey: 0 };
  const tunnelEndpoint = mapAddressFromAddress(parseAddress("192.0.2.1"));
  for (const prefix of ["fd00::/16", "10.9.0.0/16", "10.1.0.2/32", "10.1.0.0/16", "10.10.0.0/16"])
    ipcache.put(ipcacheKeyFromPrefix(parsePrefix(prefix)), { ...common, tunnelEndpoint });
  const local = { ...common, identity: 1, tunnelEndpoint: new Uint8Array(16) };
  ipcache.put(ipcacheKeyFromPrefix(parsePrefix("9.0.0.1/32")), local);
  const rows = collectIpcache({ ipcache });
  expect(rows.map(({ prefix }) => prefix)).toEqual([
    "9.0.0.1/32",
    "10.1.0.0/16",
    "10.1.0.2/32",
    "10.9.0.0/16",
    "10.10.0.0/16",
    "fd00::/16",
  ]);
  expect(rows[0]).toMatchObject({ identity: 1, tunnelEndpoint: null });
  expect(rows[5]).toMatchObject({ identity: 65_537, clusterId: 1, tunnelEndpoint: "192.0.2.1" });
});
