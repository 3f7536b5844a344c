// Where the clusters of a lab have their state from: directories of manifests, with the lab as
// kubelet, or Kubernetes itself. Chosen when a lab is made, and kept from then on. Pure.
import { MeshError } from "../../mesh/core/errors.ts";
import type { LabKubernetes, LabPlan, LabSize } from "./plan.ts";

export const LAB_SOURCES = ["manifests", "kubernetes"] as const;
export type LabSource = (typeof LAB_SOURCES)[number];

export interface SourceRequest {
  /** What was asked for; undefined takes what is there, manifests if nothing is. */
  readonly source: string | undefined;
  /** KUBEBUILDER_ASSETS; what is there remembers its own. */
  readonly assets: string | undefined;
  /** False for clusters without Tombolo; undefined takes what is there. */
  readonly install: boolean | undefined;
}

/** What becomes of a request beside the lab's record. Throws `invalid_argument`. */
export function resolveSource(
  { source, assets, install }: SourceRequest,
  recorded: LabSize | undefined,
): LabKubernetes | undefined {
  const known = recorded?.kubernetes;
  const kind = source ?? (known === undefined ? "manifests" : "kubernetes");
  if (kind === "kubernetes") {
    return {
      assets: assets === undefined || assets === "" ? (known?.assets ?? "") : assets,
      install: install ?? known?.install ?? true,
    };
  }
  if (kind !== "manifests") {
    throw new MeshError(
      "invalid_argument",
      `Cannot make a lab from "${kind}": want --source ${LAB_SOURCES.join(" or ")}`,
    );
  }
  if (install === undefined) return undefined;
  throw new MeshError(
    "invalid_argument",
    "Cannot use --no-install with --source manifests: such clusters are Tombolo's own",
  );
}

export function sourceOf({ kubernetes }: Pick<LabSize, "kubernetes">): LabSource {
  return kubernetes === undefined ? "manifests" : "kubernetes";
}

/** Throws `unsupported` for what kubectl does in a Kubernetes lab. */
export function requireManifests(plan: LabPlan, what: string): void {
  if (plan.kubernetes === undefined) return;
  throw new MeshError(
    "unsupported",
    `Cannot ${what}: the clusters of lab "${plan.name}" are Kubernetes' own`,
    { hint: `\`mesh lab kubectl ${plan.clusters[0]} -- …\` does what kubectl does` },
  );
}
