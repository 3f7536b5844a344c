// What the smoke test does to the node's maps, a step a run: `policy-smoke.ts DIRECTORY STEP`.
// `off` opens the datapath and attaches both pods; `report` prints what was counted.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ipcacheKeyFromText, mapAddressFromText } from "../../bpf/address.ts";
import { attachPod, openDatapath, openDatapathMaps } from "../../bpf/datapath.ts";
import {
  flowRecordCodec,
  PolicyEnforcement,
  PolicyMode,
  PolicyVerdict,
  TrafficDirection,
} from "../../bpf/gen/layout.ts";
import { flowRecordsMap } from "../../bpf/gen/maps.ts";
import { openPolicyMaps, type PolicyRow } from "../../bpf/policy-maps.ts";
import { openPinnedRingBuffer } from "../../bpf/ring-buffer.ts";
import { interfaceIndexFromName } from "../../bpf/tc.ts";

const FIRST_IDENTITY = 65_537;
const bpfRoot = "/sys/fs/bpf/node";
const [directory = "", step = ""] = process.argv.slice(2);
const pods = [1, 2].map((number) => ({
  ifindex: interfaceIndexFromName(`veth${number}`),
  identity: FIRST_IDENTITY + number,
  addresses: [`10.99.0.${number}`, `fd99::${number}`],
}));

if (step === "off") install();
else if (step === "report") report();
else enforce();

function install(): void {
  const cgroupPath = join(directory, "cgroup", "pods");
  mkdirSync(cgroupPath, { recursive: true });
  const objectDirectory = fileURLToPath(new URL("../../build/bpf", import.meta.url));
  const cluster = { id: 1, maxConnectedClusters: 255 } as const;
  using datapath = openDatapath({ bpfRoot, cgroupPath, objectDirectory, cluster });
  const { maps } = datapath;
  const mac = (last: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, last);
  for (const { ifindex, identity, addresses } of pods) {
    for (const address of addresses) {
      const row = { ifindex, podMac: mac(2), hostMac: mac(1) };
      maps.endpoints.put({ address: mapAddressFromText(address) }, row);
      maps.ipcache.put(ipcacheKeyFromText(`${address}/${address.includes(":") ? 128 : 32}`), {
        identity,
        tunnelEndpoint: new Uint8Array(16),
        clusterId: 1,
        encryptionKey: 0,
      });
    }
    attachPod(bpfRoot, ifindex);
  }
}

function enforce(): void {
  using maps = openDatapathMaps(bpfRoot);
  using policies = openPolicyMaps(bpfRoot);
  maps.policyNode.put(0, { mode: PolicyMode.closed });
  if (step === "closed") return;
  const revision = (maps.policyState.get({ ifindex: pods[0]?.ifindex ?? 0 })?.revision ?? 0) + 1;
  for (const { ifindex, identity } of pods) {
    policies.replace(ifindex, step === "allowed" ? allowAnybody() : []);
    const enforcement = PolicyEnforcement.on;
    maps.policyState.put({ ifindex }, { identity, revision, enforcement });
  }
}

function allowAnybody(): PolicyRow[] {
  return [TrafficDirection.ingress, TrafficDirection.egress].map((direction) => [
    { prefixLength: 40, identity: 0, direction, protocol: 0, port: 0 },
    { verdict: PolicyVerdict.allow, rule: 1 },
  ]);
}

function report(): void {
  using maps = openDatapathMaps(bpfRoot);
  using ring = openPinnedRingBuffer(join(bpfRoot, "maps", flowRecordsMap.name), {
    spec: flowRecordsMap,
    record: flowRecordCodec,
  });
  const drops = maps.drops.read();
  const told = new Set(ring.read().map(({ verdict }) => verdict));
  const counted = ["policyPending", "policyDenied"] as const;
  const seen = counted.filter((name) => (drops.get(name) ?? 0n) > 0n);
  const cut = (maps.counters.read().get("connectionCut") ?? 0n) > 0n ? "connectionCut" : "none";
  process.stdout.write(`report: ${seen.join(" ")} ${cut}; verdicts ${[...told].join(" ")}\n`);
}
