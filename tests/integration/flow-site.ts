// Many pods' network namespaces around a router, with programs that keep flows, for tests of
// what ends flows. Nothing outside of the namespaces changes.
//
//   pod 1 … n   10.77.N.2, fd00:77:N::2 ── router ── serves on 10.78.0.1 and .2, fd00:78::1, ::2
//                                              └─ drops what goes to 10.79.0.0/16, fd00:79::/32
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { eventually } from "../fakes/eventually.ts";
import { ROOT } from "../sources.ts";
import type { ProgramEvent, ProgramOrder } from "./flow-program.ts";

export const SERVERS = {
  healthy: { ipv4: "10.78.0.1", ipv6: "fd00:78::1" },
  failing: { ipv4: "10.78.0.2", ipv6: "fd00:78::2" },
  blackHole: { ipv4: "10.79.0.1", ipv6: "fd00:79::1" },
} as const;
export const SERVER_PORT = 8080;
/** A thousand connections on two cores that others keep busy. */
const SLOW_MACHINE_MS = 100_000;

export interface FlowSite extends AsyncDisposable {
  /** Paths of the pods' namespaces. */
  readonly pods: readonly string[];
  readonly events: readonly ProgramEvent[];
  order(order: Partial<ProgramOrder> & Pick<ProgramOrder, "namespace" | "do" | "group">): void;
  /** How often something happened to flows of a group. */
  count(group: string, what: ProgramEvent["what"]): number;
  /** Waits until that is so often. */
  until(group: string, what: ProgramEvent["what"], times: number): Promise<void>;
  /** Takes the name of a pod's namespace away, as runtimes do when a pod ends. */
  removePod(path: string): void;
}

export async function createFlowSite(pods: number): Promise<FlowSite> {
  const prefix = `tfl-${process.pid}`;
  const router = `${prefix}-router`;
  const names = Array.from({ length: pods }, (_, i) => `${prefix}-pod${i + 1}`);
  const left = new Set<string>();
  const removeAll = (): void => {
    for (const name of left) execFileSync("ip", ["netns", "delete", name]);
  };
  try {
    for (const name of [router, ...names]) {
      execFileSync("ip", ["netns", "add", name]);
      left.add(name);
    }
    batch(router, [
      "link set lo up",
      "address add 10.78.0.1/32 dev lo",
      "address add 10.78.0.2/32 dev lo",
      "address add fd00:78::1/128 dev lo",
      "address add fd00:78::2/128 dev lo",
      "route add blackhole 10.79.0.0/16",
      "route add blackhole fd00:79::/32",
    ]);
    execFileSync("ip", ["netns", "exec", router, "sysctl", "-qw", ...FORWARDING]);
    for (const [i, name] of names.entries()) addPod({ router, name, number: i + 1 });
  } catch (error) {
    removeAll();
    throw error;
  }
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", join(ROOT, "tests/integration/flow-program.ts")],
    { stdio: ["ignore", "inherit", "inherit", "ipc"] },
  );
  const events: ProgramEvent[] = [];
  child.on("message", (event) => events.push(event as ProgramEvent));
  await once(child, "spawn");
  const count: FlowSite["count"] = (group, what) =>
    events.filter((event) => event.group === group && event.what === what).length;
  const site: FlowSite = {
    pods: names.map((name) => `/run/netns/${name}`),
    events,
    order: (order) =>
      void child.send({ protocol: "tcp", host: "", port: SERVER_PORT, count: 1, ...order }),
    count,
    async until(group, what, times) {
      await eventually(() => count(group, what) >= times, {
        limitMs: SLOW_MACHINE_MS,
        what: `${times} flows of "${group}" are ${what}`,
      });
    },
    removePod(path) {
      const name = path.slice("/run/netns/".length);
      execFileSync("ip", ["netns", "delete", name]);
      left.delete(name);
    },
    async [Symbol.asyncDispose]() {
      const exit = once(child, "exit");
      child.disconnect();
      await exit;
      removeAll();
    },
  };
  const hosts = [SERVERS.healthy, SERVERS.failing].flatMap((server) => Object.values(server));
  for (const host of hosts)
    site.order({ namespace: `/run/netns/${router}`, do: "serve", group: "server", host });
  await site.until("server", "serving", hosts.length);
  return site;
}

const FORWARDING = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"];

function addPod(pod: { readonly router: string; readonly name: string; readonly number: number }) {
  const { router, name, number } = pod;
  batch(router, [
    `link add pod${number} type veth peer name eth0 netns ${name}`,
    `address add 10.77.${number}.1/24 dev pod${number}`,
    `address add fd00:77:${number}::1/64 dev pod${number} nodad`,
    `link set pod${number} up`,
  ]);
  batch(name, [
    "link set lo up",
    `address add 10.77.${number}.2/24 dev eth0`,
    `address add fd00:77:${number}::2/64 dev eth0 nodad`,
    "link set eth0 up",
    `route add default via 10.77.${number}.1`,
    `route add default via fd00:77:${number}::1`,
  ]);
}

function batch(namespace: string, lines: readonly string[]): void {
  const input = lines.map((line) => `${line}\n`).join("");
  execFileSync("ip", ["-n", namespace, "-batch", "-"], { input });
}
