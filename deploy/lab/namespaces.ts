// Makes the lab's network namespaces and the links between them, and removes them. Everything is
// made directly between two namespaces of the lab: the machine's own never holds an interface,
// an address or a route of it. Making again is repair.
import { readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { commandOutput, inNamespace, runCommand } from "../../mesh/core/child-process.ts";
import { labMembers, UNDERLAY_MTU, UPLINK_DEVICE } from "./plan.ts";
import type { LabMember, LabPlan } from "./plan.ts";

const NETNS_DIRECTORY = "/run/netns";
/** From linux/magic.h: what statfs says of a file that is a mounted namespace. */
const NSFS_MAGIC = 0x6e736673;

/** Forwards for others, answers on any path: routers and nodes both do. */
const FORWARDING = [
  "net/ipv4/ip_forward=1",
  "net/ipv6/conf/all/forwarding=1",
  "net/ipv4/conf/all/rp_filter=0",
  "net/ipv4/conf/default/rp_filter=0",
];

export function namespacePath(name: string): string {
  return join(NETNS_DIRECTORY, name);
}

/** Makes what is missing of the plan's namespaces, links, addresses and routes. */
export async function ensureNamespaces(plan: LabPlan, signal: AbortSignal): Promise<void> {
  const members = labMembers(plan);
  await addNamespaces([plan.routerNamespace, ...members.map(({ namespace }) => namespace)], signal);
  await ensureLinks(plan, members, signal);
  await Promise.all([
    configure(plan.routerNamespace, routerLines(members), signal),
    ...members.map((member) => configure(member.namespace, memberLines(member), signal)),
  ]);
}

/** Adds the namespaces that are missing; a name whose namespace was never mounted is replaced. */
export async function addNamespaces(names: readonly string[], signal: AbortSignal): Promise<void> {
  const states = await Promise.all(names.map(async (name) => ({ name, state: await look(name) })));
  const lines = states.flatMap(({ name, state }) => {
    if (state === "mounted") return [];
    return [...(state === "broken" ? [`netns delete ${name}`] : []), `netns add ${name}`];
  });
  if (lines.length > 0) await ipBatch({ lines }, signal);
}

/** The lab's namespaces that exist, pods' included. */
export async function listNamespaces(prefix: string): Promise<string[]> {
  try {
    const names = await readdir(NETNS_DIRECTORY);
    return names.filter((name) => name.startsWith(prefix)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

export async function namespaceExists(name: string): Promise<boolean> {
  return (await look(name)) === "mounted";
}

/** Whether the process lives in the network namespace that has this name now. */
export async function isInNamespace(pid: number, name: string): Promise<boolean> {
  return isInPinnedNamespace(pid, { kind: "net", path: namespacePath(name) });
}

/** Whether the process lives in the namespace that is pinned to this file now. */
export async function isInPinnedNamespace(
  pid: number,
  { kind, path }: { kind: "net" | "mnt"; path: string },
): Promise<boolean> {
  try {
    const [own, wanted] = await Promise.all([stat(`/proc/${pid}/ns/${kind}`), stat(path)]);
    return own.ino === wanted.ino && own.dev === wanted.dev;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** Removing what is not there is success. */
export async function deleteNamespaces(
  names: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (names.length === 0) return;
  const lines = names.map((name) => `netns delete ${name}`);
  await ipBatch({ lines, force: true }, signal).catch(async (error: unknown) => {
    // Another `lab down` may have been faster; only what is still there is a failure.
    const left = await Promise.all(names.map(look));
    if (left.some((state) => state !== "missing")) throw error;
  });
}

/**
 * Gives back the mount of the directory of namespaces, which `ip` makes with the first of them, if
 * ours was the last. A namespace that somebody adds meanwhile keeps it busy, so it stays.
 */
export async function releaseNamespaceDirectory(signal: AbortSignal): Promise<void> {
  if ((await listNamespaces("")).length > 0) return;
  // Fails when it is busy or was no mount: both are fine.
  await runCommand({ argv: ["umount", NETNS_DIRECTORY] }, signal);
}

export interface IpBatch {
  readonly lines: readonly string[];
  /** Namespace name; the caller's own if left out. */
  readonly namespace?: string;
  /** Goes on after a line that fails; the batch still fails at its end. */
  readonly force?: boolean;
}

/** Runs `ip` once with many lines; throws with what `ip` said about the one that failed. */
export async function ipBatch(batch: IpBatch, signal: AbortSignal): Promise<string> {
  const ip = ["ip", ...(batch.force === true ? ["-force"] : []), "-json", "-batch", "-"] as const;
  const argv: [string, ...string[]] =
    batch.namespace === undefined ? [...ip] : inNamespace(namespacePath(batch.namespace), [...ip]);
  return commandOutput({ argv, input: `${batch.lines.join("\n")}\n` }, signal);
}

async function look(name: string): Promise<"missing" | "broken" | "mounted"> {
  try {
    const { type } = await statfs(namespacePath(name));
    return type === NSFS_MAGIC ? "mounted" : "broken";
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "missing";
    throw error;
  }
}

async function ensureLinks(
  plan: LabPlan,
  members: readonly LabMember[],
  signal: AbortSignal,
): Promise<void> {
  const router = plan.routerNamespace;
  const present = new Set(await linkNames(router, signal));
  const missing: LabMember[] = [];
  await Promise.all(
    members.map(async (member) => {
      const links = await linkNames(member.namespace, signal);
      if (!links.includes(UPLINK_DEVICE)) missing.push(member);
    }),
  );
  // The kernel takes a dead namespace's half of a pair away in its own time; do not wait for it.
  for (const { routerDevice } of missing.filter((member) => present.has(member.routerDevice))) {
    const argv = inNamespace(namespacePath(router), ["ip", "link", "delete", routerDevice]);
    await runCommand({ argv }, signal);
  }
  const lines = missing.map(
    ({ routerDevice, namespace }) =>
      `link add ${routerDevice} mtu ${UNDERLAY_MTU} type veth ` +
      `peer name ${UPLINK_DEVICE} mtu ${UNDERLAY_MTU} netns ${namespacePath(namespace)}`,
  );
  if (lines.length > 0) await ipBatch({ namespace: router, lines }, signal);
}

async function linkNames(namespace: string, signal: AbortSignal): Promise<string[]> {
  const text = await ipBatch({ namespace, lines: ["link show"] }, signal);
  const links = JSON.parse(text) as { ifname: string }[];
  return links.map(({ ifname }) => ifname);
}

function routerLines(members: readonly LabMember[]): string[] {
  return [
    "link set lo up",
    ...members.flatMap(({ routerDevice, links }) => [
      ...links.map(
        (link) =>
          `addr replace ${link.routerAddress}/${link.prefixLength} dev ${routerDevice}` +
          (link.family === 6 ? " nodad" : ""),
      ),
      `link set ${routerDevice} up`,
    ]),
  ];
}

function memberLines({ links }: LabMember): string[] {
  return [
    "link set lo up",
    ...links.map(
      (link) =>
        `addr replace ${link.address}/${link.prefixLength} dev ${UPLINK_DEVICE}` +
        (link.family === 6 ? " nodad" : ""),
    ),
    `link set ${UPLINK_DEVICE} up`,
    ...links.map((link) => `route replace default via ${link.routerAddress}`),
  ];
}

async function configure(
  namespace: string,
  lines: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  // /proc/sys/net shows the namespace of whoever opens it, so the writes happen inside.
  const writes = FORWARDING.map((setting) => {
    const [key, value] = setting.split("=");
    return `echo ${value} > /proc/sys/${key}`;
  });
  const script = `${writes.join(" && ")} && exec ip -batch -`;
  const argv = inNamespace(namespacePath(namespace), ["sh", "-c", script]);
  await commandOutput({ argv, input: `${lines.join("\n")}\n` }, signal);
}
