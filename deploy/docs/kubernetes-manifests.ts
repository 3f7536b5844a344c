// deploy/kubernetes for kustomize and GitOps, from the renderer that `mesh install` uses, so that
// the two cannot differ. A test compares the files; `npm run docs` writes them.
import { stringify } from "yaml";
import type { Manifest } from "../../mesh/install/manifest.ts";
import { renderObjects } from "../../mesh/install/render.ts";
import { parseSettings } from "../../mesh/install/settings.ts";

/**
 * The base belongs to no cluster. Its name and number are such that the apiserver and the agents
 * refuse them in words, so that nobody runs two clusters under one name by forgetting the patch.
 */
const UNSET = { name: "", id: 0 };
const HEADER = '# Written by `npm run docs` from mesh/install; see docs/kubernetes.md, "GitOps".\n';
/** File → kinds, in the order in which they are applied. */
const FILES: readonly (readonly [string, (manifest: Manifest) => boolean])[] = [
  ["namespace.yaml", ({ kind }) => kind === "Namespace"],
  ["apiserver-access.yaml", isAccessOf("tombolo-apiserver")],
  ["agent-access.yaml", isAccessOf("tombolo-agent")],
  ["configuration.yaml", ({ kind }) => kind === "ConfigMap"],
  ["apiserver.yaml", ({ kind }) => kind === "Service" || kind === "Deployment"],
  ["agent.yaml", ({ kind }) => kind === "DaemonSet"],
];

/** File name below deploy/kubernetes → text. */
export function kubernetesManifests(version: string): ReadonlyMap<string, string> {
  const settings = parseSettings({ "cluster-name": "unset", "cluster-id": "1" }, version);
  const objects = renderObjects({ ...settings, cluster: { ...settings.cluster, ...UNSET } });
  const files = FILES.map(([name, isIn]): [string, string] => {
    const documents = objects.filter(isIn).map((object) => toYaml(object));
    return [name, HEADER + documents.join("---\n")];
  });
  const kustomization = {
    apiVersion: "kustomize.config.k8s.io/v1beta1",
    kind: "Kustomization",
    resources: FILES.map(([name]) => name),
  };
  return new Map([...files, ["kustomization.yaml", HEADER + toYaml(kustomization)]]);
}

function toYaml(value: object): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}

function isAccessOf(account: string): (manifest: Manifest) => boolean {
  const kinds = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
  return ({ kind, metadata }) => kinds.includes(kind) && metadata.name === account;
}
