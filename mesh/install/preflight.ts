// Whether Tombolo may be installed in a cluster. Pure: facts in, an error or remarks out; nothing
// has been written when it says no.
import { MeshError } from "../core/errors.ts";
import type { ClusterFacts } from "./facts.ts";
import { textsFromSettings, type InstallSettings } from "./settings.ts";
import { compareVersions } from "./versions.ts";

/** Server-side apply as we use it and seccompProfile are there from here on. */
const MINOR_MIN = 20;
/** More names than this make a message that nobody reads. */
const NAMES_SHOWN = 5;

/** Returns what the operator should know besides; throws what forbids the installation. */
export function judgeInstall(
  facts: ClusterFacts,
  { settings, version }: { readonly settings: InstallSettings; readonly version: string },
): string[] {
  refuseServer(facts);
  refusePlace(facts, settings);
  refuseOther(facts, settings);
  refuseVersion(facts, version);
  refuseNodes(facts, settings);
  return [
    ...(facts.nodes.length === 0 ? ["the cluster has no nodes yet"] : []),
    ...(facts.namespace === "foreign"
      ? [`namespace "${settings.namespace}" was there before and stays when Tombolo is uninstalled`]
      : []),
    ...changedSettings(facts, settings),
  ];
}

/** What every command that writes needs of the server and of the caller. */
export function refuseServer({ version, minor, denied, server }: ClusterFacts): void {
  if (minor < MINOR_MIN) {
    throw new MeshError(
      "unsupported",
      `Cannot install on "${server}": it is Kubernetes ${version}, want 1.${MINOR_MIN} or newer`,
    );
  }
  if (denied.length > 0) {
    throw new MeshError(
      "permission_denied",
      `Cannot install on "${server}": the credentials do not allow to ${enumerate(denied)}`,
      { hint: "use a kubeconfig context with administrator's rights: --context NAME" },
    );
  }
}

function refusePlace(facts: ClusterFacts, { namespace }: InstallSettings): void {
  if (facts.namespace === "terminating") {
    throw new MeshError(
      "unavailable",
      `Cannot install in namespace "${namespace}": it is being deleted`,
      {
        hint: `wait until \`kubectl get namespace ${namespace}\` finds nothing, then run it again`,
      },
    );
  }
  const elsewhere = facts.installedNamespace;
  if (elsewhere !== undefined && elsewhere !== namespace) {
    throw new MeshError(
      "already_exists",
      `Cannot install in namespace "${namespace}": Tombolo is installed in namespace "${elsewhere}"`,
      {
        hint: `use --namespace ${elsewhere}, or \`mesh uninstall --namespace ${elsewhere}\` first`,
      },
    );
  }
}

function refuseOther({ installed }: ClusterFacts, { cluster }: InstallSettings): void {
  const found = installed?.cluster;
  if (found === undefined) return;
  if (found.name === cluster.name && found.id === cluster.id) return;
  throw new MeshError(
    "conflict",
    `Cannot install as cluster "${cluster.name}" (id ${cluster.id}): it is installed as "${found.name}" (id ${found.id})`,
    {
      hint: "peers know a cluster by name and id: `mesh uninstall` first, or use the name and id it has",
    },
  );
}

function refuseVersion({ installed }: ClusterFacts, version: string): void {
  const found = installed?.version;
  if (found === undefined || compareVersions(found, version) === 0) return;
  throw new MeshError(
    "already_exists",
    `Cannot install version ${version}: version ${found} is installed`,
    { hint: "`mesh upgrade` exchanges it and keeps its settings" },
  );
}

/** Where our plugin gives pods their addresses, each node needs a range to give them from. */
function refuseNodes({ nodes }: ClusterFacts, { cni }: InstallSettings): void {
  if (cni !== "network") return;
  const without = nodes.filter(({ podCidrs }) => podCidrs.length === 0).map(({ name }) => name);
  if (without.length === 0) return;
  throw new MeshError(
    "not_found",
    `Cannot give pods addresses: nodes ${enumerate(without)} have no pod CIDR`,
    {
      hint: "kube-controller-manager gives them: --allocate-node-cidrs=true --cluster-cidr=RANGE; or leave addresses to another plugin: --cni chained",
    },
  );
}

function changedSettings({ installed }: ClusterFacts, settings: InstallSettings): string[] {
  if (installed?.settings === undefined) return [];
  const before = textsFromSettings(installed.settings);
  const after = textsFromSettings(settings);
  return Object.keys({ ...before, ...after })
    .filter((name) => String(before[name] ?? "") !== String(after[name] ?? ""))
    .map((name) => {
      const show = (value: string | readonly string[] | undefined): string =>
        `"${String(value ?? "")}"`;
      return `setting --${name} changes from ${show(before[name])} to ${show(after[name])}`;
    });
}

export function enumerate(names: readonly string[]): string {
  const shown = names.slice(0, NAMES_SHOWN).join(", ");
  const rest = names.length - NAMES_SHOWN;
  return rest > 0 ? `${shown} and ${rest} more` : shown;
}
