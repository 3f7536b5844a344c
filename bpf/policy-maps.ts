// The policy of each endpoint: a trie of its own, held by the map of maps `policies` under the
// interface index of the endpoint's host side. A new trie is filled while no packet sees it, and
// takes its predecessor's place in one write. memory-policy-maps.ts is the same without a kernel.
import { closeSync } from "node:fs";
import { join } from "node:path";
import { checkResult, isErrno } from "./errno.ts";
import type { PolicyEntry, PolicyKey } from "./gen/layout.ts";
import { endpointPolicyMap, policiesMap } from "./gen/maps.ts";
import * as libbpf from "./libbpf.ts";
import { createMapFd, mapFromFd, openPinnedMap, type BpfMap } from "./map.ts";

export type EndpointPolicyMap = BpfMap<PolicyKey, PolicyEntry>;
export type PolicyRow = readonly [PolicyKey, PolicyEntry];

export interface PolicyMaps extends Disposable {
  /** The endpoints that have a policy, by interface index. */
  endpoints(): number[];
  /** The map that is in force, to be read or edited in place; close it. */
  open(ifindex: number): EndpointPolicyMap | undefined;
  /**
   * Puts a new map with these rows in the place of whatever is there. Throws `resource_exhausted`
   * when they do not fit; then nothing has changed.
   */
  replace(ifindex: number, rows: Iterable<PolicyRow>, maxEntries?: number): void;
  /** Whether there was one. */
  delete(ifindex: number): boolean;
  close(): void;
}

/** Throws `not_found` where no datapath is pinned. */
export function openPolicyMaps(bpfRoot: string): PolicyMaps {
  const policies = openPinnedMap(join(bpfRoot, "maps", policiesMap.name), policiesMap);

  function open(ifindex: number): EndpointPolicyMap | undefined {
    const id = policies.get({ ifindex });
    if (id === undefined) return undefined;
    const fd = libbpf.mapFdById(id);
    if (isErrno(fd, "ENOENT")) return undefined; // It has lost its place since.
    checkResult(`Cannot open the policy of interface ${ifindex}`, fd);
    return takeFd(fd);
  }

  function replace(
    ifindex: number,
    rows: Iterable<PolicyRow>,
    maxEntries = endpointPolicyMap.maxEntries,
  ): void {
    const fd = createMapFd(endpointPolicyMap, maxEntries);
    using map = takeFd(fd);
    map.putBatch(rows);
    policies.put({ ifindex }, fd);
  }

  return {
    endpoints: () => Array.from(policies.entries(), ([{ ifindex }]) => ifindex),
    open,
    replace,
    delete: (ifindex) => policies.delete({ ifindex }),
    close: () => policies.close(),
    [Symbol.dispose]: () => policies.close(),
  };
}

function takeFd(fd: number): EndpointPolicyMap {
  try {
    return mapFromFd(fd, endpointPolicyMap);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
