// Two nodes with a pod each, in network namespaces of their own. Nothing outside of them changes.
//
//   pod a  eth0 ── veth_a  node a  underlay ═══════ underlay  node b  veth_b ── eth0  pod b
//   10.1.1.2               192.0.2.1                192.0.2.2                   10.2.1.2
//   fd01::2                2001:db8::1              2001:db8::2                 fd02::2
//
// WIRE_TAP is one more address of pod b's namespace. As there is no VXLAN device in there, what is
// tunnelled to it can be looked at.
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";

export const WIRE_TAP = "192.0.2.9";
/** A pod that would be on the node at WIRE_TAP. */
export const WIRE_TAP_POD = "10.9.0.1";

export interface TestNode {
  readonly name: "a" | "b";
  /** Namespaces of the node and of its pod. */
  readonly node: string;
  readonly pod: string;
  readonly underlay4: string;
  readonly underlay6: string;
  readonly pod4: string;
  readonly pod6: string;
  readonly hostMac: string;
  readonly podMac: string;
}

export interface TestNetwork extends Disposable {
  readonly a: TestNode;
  readonly b: TestNode;
}

export function createNetwork(unique: string): TestNetwork {
  const a = describeNode("a", unique);
  const b = describeNode("b", unique);
  const namespaces = [a, b].flatMap(({ node, pod }) => [node, pod]);
  const remove = (): void => {
    const existing = readdirSync("/run/netns");
    for (const name of namespaces.filter((namespace) => existing.includes(namespace)))
      execFileSync("ip", ["netns", "delete", name]);
  };
  try {
    for (const name of namespaces) execFileSync("ip", ["netns", "add", name]);
    ip(a.node, `link add underlay type veth peer name underlay netns ${b.node}`);
    for (const node of [a, b]) addNode(node);
    ip(a.node, `route add ${WIRE_TAP} via ${b.underlay4}`);
    ip(b.node, `route add ${WIRE_TAP} dev veth`);
    ip(b.node, `neighbour add ${WIRE_TAP} lladdr ${b.podMac} dev veth`);
    ip(b.pod, `address add ${WIRE_TAP}/32 dev eth0`);
  } catch (error) {
    remove();
    throw error;
  }
  return { a, b, [Symbol.dispose]: remove };
}

/** Runs a program inside a network namespace, with the mounts of this process. */
export function runIn(namespace: string, command: readonly string[]): string {
  return execFileSync("nsenter", [`--net=/run/netns/${namespace}`, ...command], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
}

function ip(namespace: string, words: string): void {
  execFileSync("ip", ["-n", namespace, ...words.split(" ")]);
}

function describeNode(name: "a" | "b", unique: string): TestNode {
  const number = name === "a" ? 1 : 2;
  return {
    name,
    node: `tb-${unique}-node-${name}`,
    pod: `tb-${unique}-pod-${name}`,
    underlay4: `192.0.2.${number}`,
    underlay6: `2001:db8::${number}`,
    pod4: `10.${number}.1.2`,
    pod6: `fd0${number}::2`,
    hostMac: `02:00:00:00:0${number}:01`,
    podMac: `02:00:00:00:0${number}:02`,
  };
}

function addNode({ node, pod, underlay4, underlay6, pod4, pod6, hostMac, podMac }: TestNode): void {
  runIn(node, ["sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]);
  for (const words of [
    "link set lo up",
    `address add ${underlay4}/24 dev underlay`,
    `address add ${underlay6}/64 dev underlay nodad`,
    "link set underlay up",
    "link add overlay type vxlan external dstport 8472 nolearning udp6zerocsumrx",
    "link set overlay arp off up",
    "route add 10.0.0.0/8 dev overlay src " + underlay4,
    "route add fd00::/8 dev overlay src " + underlay6,
    `link add veth type veth peer name eth0 netns ${pod}`,
    `link set veth address ${hostMac} up`,
    `route add ${pod4} dev veth`,
    `route add ${pod6} dev veth`,
    `neighbour add ${pod4} lladdr ${podMac} dev veth`,
    `neighbour add ${pod6} lladdr ${podMac} dev veth`,
  ])
    ip(node, words);
  for (const words of [
    "link set lo up",
    `link set eth0 address ${podMac} mtu 1400 up`,
    `address add ${pod4}/32 dev eth0`,
    `address add ${pod6}/128 dev eth0 nodad`,
    "route add 169.254.1.1 dev eth0 scope link",
    "route add default via 169.254.1.1 dev eth0",
    `neighbour add 169.254.1.1 lladdr ${hostMac} dev eth0`,
    "route add default via fe80::1 dev eth0",
    `neighbour add fe80::1 lladdr ${hostMac} dev eth0`,
  ])
    ip(pod, words);
}
