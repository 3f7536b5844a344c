// What must be true before a lab can be made or removed here: root, programs, and that nobody
// else uses the lab's name. Each thing that is not has its own sentence.
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { userInfo } from "node:os";
import { fileURLToPath } from "node:url";
import { MeshError } from "../../mesh/core/errors.ts";
import { isPopulated } from "./cgroups.ts";
import { checkContexts, readLabOwner, readLabSize } from "./cluster-files.ts";
import { listNamespaces } from "./namespaces.ts";
import type { LabPlan } from "./plan.ts";
import { sourceOf } from "./source.ts";

/** Program → the Debian package that has it. */
const PROGRAMS: Readonly<Record<string, string>> = {
  ip: "iproute2",
  nsenter: "util-linux",
  mount: "mount",
  etcd: "etcd-server",
  "nats-server": "nats-server",
};
/** The last of the objects that `make -C bpf` builds; agents load all of them. */
const EBPF_OBJECT = fileURLToPath(new URL("../../build/bpf/socket.bpf.o", import.meta.url));
const PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Throws `permission_denied` for anybody but root. */
export function checkRoot(verb: string): void {
  if (userInfo().uid === 0) return;
  throw new MeshError(
    "permission_denied",
    `Cannot ${verb} the lab: network namespaces and eBPF need root`,
    { hint: "run it with sudo" },
  );
}

/** Throws `unsupported` naming the first thing that is missing and how to get it. */
export async function checkInstallation(): Promise<void> {
  for (const [program, debianPackage] of Object.entries(PROGRAMS)) {
    if (await isInstalled(program)) continue;
    throw new MeshError("unsupported", `Cannot make a lab: the program "${program}" is missing`, {
      hint: `apt-get install ${debianPackage}`,
    });
  }
  if (!(await isUsable("/proc/sys/net/ipv6", constants.R_OK))) {
    throw new MeshError("unsupported", "Cannot make a lab: this kernel runs without IPv6", {
      hint: "start it without ipv6.disable=1",
    });
  }
  if (await isUsable(EBPF_OBJECT, constants.R_OK)) return;
  throw new MeshError("unsupported", "Cannot make a lab: the eBPF programs are not built", {
    hint: "`npm run build` builds them",
  });
}

/** Throws `conflict` when the name belongs to another lab or to somebody else altogether. */
export async function checkNameIsOurs(plan: LabPlan, cgroupPath: string): Promise<void> {
  await checkOwner(plan);
  const recorded = await readLabSize(plan.paths);
  if (recorded === undefined) {
    const namespaces = await listNamespaces(plan.namespacePrefix);
    if (namespaces.length > 0 || (await isPopulated(cgroupPath))) {
      const what = namespaces[0] ?? cgroupPath;
      throw new MeshError(
        "conflict",
        `Cannot make lab "${plan.name}": its name is in use ("${what}" is there, but no record of the lab)`,
        { hint: `\`mesh lab down --name ${plan.name}\` removes all of it; --name chooses another` },
      );
    }
  } else if (
    recorded.clusters.join() !== plan.clusters.join() ||
    recorded.nodesPerCluster !== plan.nodesPerCluster ||
    sourceOf(recorded) !== sourceOf(plan)
  ) {
    const { clusters, nodesPerCluster } = recorded;
    const source = recorded.kubernetes === undefined ? "" : " of Kubernetes";
    throw new MeshError(
      "conflict",
      `Cannot make lab "${plan.name}" as wanted: it is there with clusters ${clusters.join(", ")}${source} and ${nodesPerCluster} nodes each`,
      { hint: `\`mesh lab down --name ${plan.name}\` first, or choose another --name` },
    );
  }
  await checkContexts(plan);
}

/** Throws `conflict` when the running lab of this name was made from another home. */
export async function checkOwner(plan: Pick<LabPlan, "name" | "paths">): Promise<void> {
  const owner = await readLabOwner(plan.paths);
  if (owner === undefined || owner === plan.paths.home) return;
  throw new MeshError(
    "conflict",
    `Cannot use lab "${plan.name}": it belongs to the home "${owner}"`,
    { hint: `set TOMBOLO_HOME=${owner}, or choose another --name` },
  );
}

export async function isInstalled(program: string): Promise<boolean> {
  for (const directory of PROGRAM_PATH.split(delimiter)) {
    if (await isUsable(join(directory, program), constants.X_OK)) return true;
  }
  return false;
}

async function isUsable(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
