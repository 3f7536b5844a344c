// The mount namespace of a node. It begins as a copy of the machine's, shares nothing with it from
// then on, and has its own in place of whatever a node's software changes or is found by:
//
//   /run                        tmpfs: sockets, network namespaces of pods, state of containerd
//   /etc, /opt                  the machine's, with a layer of the node's own above
//   /etc/cni/net.d, /opt/cni/bin, /opt/tombolo, /var/log, /var/lib     empty at first
//   /sys/fs/bpf                 a bpffs of its own
//   where cgroups are mounted   the node's part of every hierarchy
//   /proc/sys/{kernel,vm}/…     files: the kubelet sets these, and the machine's must stay
//
// Inside, mounts are shared, as the kubelet and pods with volumes want it. The namespace is pinned
// to a file, so it outlives every process and goes with the file; every mount goes with it.
import { mkdir, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { commandOutput, inNamespace, runCommand } from "../../../mesh/core/child-process.ts";
import { namespacePath } from "../namespaces.ts";
import type { KubernetesNode } from "./plan.ts";

/** What the kubelet insists on (its setupKernelTunables); a node's file says it is so already. */
const KERNEL_SETTINGS: Readonly<Record<string, string>> = {
  "vm/overcommit_memory": "1",
  "vm/panic_on_oom": "0",
  "kernel/panic": "10",
  "kernel/panic_on_oops": "1",
  "kernel/keys/root_maxkeys": "1000000",
  "kernel/keys/root_maxbytes": "25000000",
};
/** Folders of the machine that get a layer of the node's own. */
const LAYERED = ["/etc", "/opt"];
/** Folders that are the node's own and empty at first, on disk; the lab itself may lie in the last. */
const OWN = ["/etc/cni/net.d", "/opt/cni/bin", "/opt/tombolo", "/var/log", "/var/lib"];

export interface NodeMounts {
  readonly disk: string;
  /** Folders of the machine that stay where they are, whatever is put in place around them. */
  readonly kept: readonly string[];
  /** Where each hierarchy of cgroups is mounted, and the node's directory in it. */
  readonly cgroups: readonly { readonly root: string; readonly directory: string }[];
}

/** Where the machine has what the node sees as its own folder of this path. */
export function ownDirectory(disk: string, path: string): string {
  return join(disk, "own", path);
}

/** Shell lines, run as root inside the new namespace while it is still private. Pure. */
export function mountScript({ disk, kept, cgroups }: NodeMounts): string {
  const holds = kept.map((path, i) => ({ path: quote(path), hold: `/run/kept/${i}` }));
  const layers = LAYERED.flatMap((path) => {
    const [upper, work] = ["upper", "work"].map((part) => join(disk, "layers", path, part));
    const options = `lowerdir=${path},upperdir=${upper},workdir=${work}`;
    return [
      `mkdir -p ${quote(upper)} ${quote(work)}`,
      `mount -t overlay -o ${quote(options)} overlay ${path}`,
    ];
  });
  const own = OWN.flatMap((path) => {
    const source = quote(ownDirectory(disk, path));
    return [`mkdir -p ${source} ${path}`, `mount --bind ${source} ${path}`];
  });
  const settings = Object.entries(KERNEL_SETTINGS).flatMap(([name, value]) => {
    const file = `/run/sysctl/${name}`;
    return [
      `mkdir -p ${dirname(file)}`,
      `echo ${value} > ${file}`,
      `mount --bind ${file} /proc/sys/${name}`,
    ];
  });
  return [
    "set -eu",
    // Copies of others' mounts below /run would keep them busy, hidden behind ours.
    "while read -r _ _ _ _ point _; do",
    '  case "$point" in /run/*) umount -l "$point" 2>/dev/null || true ;; esac',
    "done < /proc/self/mountinfo",
    "mount -t tmpfs -o mode=0755 tmpfs /run",
    "mkdir -p /run/lock",
    ...holds.flatMap(({ path, hold }) => [`mkdir -p ${hold}`, `mount --bind ${path} ${hold}`]),
    ...layers,
    ...own,
    ...holds.flatMap(({ path, hold }) => [
      `[ -e ${path} ] || { mkdir -p ${path}; mount --bind ${hold} ${path}; }`,
      `umount ${hold}`,
      `rmdir ${hold}`,
    ]),
    ...settings,
    "mount -t bpf -o mode=0700 bpf /sys/fs/bpf",
    ...cgroups.flatMap(replaceCgroup),
    "mount --make-rshared /",
    "",
  ].join("\n");
}

/**
 * In place of the machine's mount, not above it: whoever reads /proc/self/mountinfo to learn what
 * is the root of a hierarchy takes the first line.
 */
function replaceCgroup({ root, directory }: NodeMounts["cgroups"][number]): string[] {
  return [
    "mkdir -p /run/cgroup",
    `mount --bind ${quote(directory)} /run/cgroup`,
    `umount -l ${quote(root)}`,
    `mount --move /run/cgroup ${quote(root)}`,
    "rmdir /run/cgroup",
  ];
}

/** Makes the directory of pins a mount of its own that nothing propagates out of. */
export async function mountPinDirectory(directory: string, signal: AbortSignal): Promise<void> {
  if (await isMountPoint(directory)) return;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await commandOutput(
    { argv: ["mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", directory] },
    signal,
  );
  await commandOutput({ argv: ["mount", "--make-private", directory] }, signal);
}

/** With every pin in it; what is not there is success. */
export async function unmountPinDirectory(directory: string, signal: AbortSignal): Promise<void> {
  while (await isMountPoint(directory)) {
    await commandOutput({ argv: ["umount", "--recursive", "--lazy", directory] }, signal);
  }
}

export async function hasMountNamespace({ mountNamespace }: KubernetesNode): Promise<boolean> {
  return isMountPoint(mountNamespace);
}

/** Makes and pins the node's mount namespace, in its network namespace. */
export async function makeMountNamespace(
  node: KubernetesNode,
  { signal, ...mounts }: Omit<NodeMounts, "disk"> & { signal: AbortSignal },
): Promise<void> {
  await removeMountNamespace(node, signal);
  await mkdir(node.disk, { recursive: true, mode: 0o700 });
  await writeFile(node.mountNamespace, "", { mode: 0o600 });
  const argv = inNamespace(namespacePath(node.node.namespace), [
    "unshare",
    `--mount=${node.mountNamespace}`,
    "--propagation=private",
    "sh",
  ]);
  const input = mountScript({ disk: node.disk, ...mounts });
  try {
    await commandOutput({ argv, input }, signal);
  } catch (error) {
    // Half a node must not be taken for a whole one.
    await removeMountNamespace(node, new AbortController().signal);
    throw error;
  }
}

/** Lets go of it: the namespace ends with the last process in it. */
export async function removeMountNamespace(
  { mountNamespace }: KubernetesNode,
  signal: AbortSignal,
): Promise<void> {
  while (await isMountPoint(mountNamespace)) {
    await runCommand({ argv: ["umount", "--lazy", mountNamespace] }, signal);
  }
}

/** Whether something is mounted exactly here. */
async function isMountPoint(path: string): Promise<boolean> {
  try {
    const [own, above] = await Promise.all([stat(path), stat(dirname(path))]);
    return own.dev !== above.dev;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

function quote(text: string | undefined): string {
  return `'${(text ?? "").replaceAll("'", "'\\''")}'`;
}
