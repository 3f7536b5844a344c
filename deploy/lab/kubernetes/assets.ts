// The programs that a Kubernetes lab runs: Kubernetes' own from the folder that Kubernetes projects
// call KUBEBUILDER_ASSETS, the rest from Debian.
import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { MeshError } from "../../../mesh/core/errors.ts";
import { isInstalled } from "../preflight.ts";

export const KUBERNETES_PROGRAMS = [
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
] as const;

/** Program → the Debian package that has it. */
const DEBIAN_PROGRAMS: Readonly<Record<string, string>> = {
  containerd: "containerd",
  ctr: "containerd",
  runc: "runc",
  kubectl: "kubernetes-client",
  unshare: "util-linux",
};
const HOW_TO_GET =
  "set KUBEBUILDER_ASSETS to a folder with kube-apiserver, kube-controller-manager, kube-scheduler and kubelet: a Kubernetes release's server archive has all four in kubernetes/server/bin";

/** Throws `unsupported` naming the first program that is missing and how to get it. */
export async function checkAssets(assets: string | undefined): Promise<string> {
  if (assets === undefined || assets === "") {
    throw new MeshError(
      "unsupported",
      "Cannot make a Kubernetes lab: KUBEBUILDER_ASSETS names no folder with Kubernetes' programs",
      { hint: HOW_TO_GET },
    );
  }
  for (const program of KUBERNETES_PROGRAMS) {
    try {
      await access(join(assets, program), constants.X_OK);
    } catch (cause) {
      throw new MeshError(
        "unsupported",
        `Cannot make a Kubernetes lab: "${assets}" has no program "${program}"`,
        { hint: HOW_TO_GET, cause },
      );
    }
  }
  for (const [program, debianPackage] of Object.entries(DEBIAN_PROGRAMS)) {
    if (await isInstalled(program)) continue;
    throw new MeshError(
      "unsupported",
      `Cannot make a Kubernetes lab: the program "${program}" is missing`,
      { hint: `apt-get install ${debianPackage}` },
    );
  }
  return assets;
}
