// Puts container images on the nodes: there is no registry in the lab, every node's containerd is
// given the archive.
import { commandOutput } from "../../../mesh/core/child-process.ts";
import { onNode } from "./node.ts";
import { CONTAINERD_SOCKET, type KubernetesNode } from "./plan.ts";

/** containerd's namespace of what the kubelet asks for. */
const NAMESPACE = "k8s.io";
/** Unpacking is the disk's and one core's work; more at once only wait for each other. */
const IMPORTS_AT_ONCE = 2;

export interface ImageArchive {
  /** As pods name it: "localhost/tombolo:HASH". */
  readonly name: string;
  /** Path of a docker-archive. */
  readonly archive: string;
}

/** Imports what is not there; returns how many imports there were. */
export async function importImages(
  nodes: readonly KubernetesNode[],
  { images, signal }: { images: readonly ImageArchive[]; signal: AbortSignal },
): Promise<number> {
  const wanted = nodes.flatMap((node) => images.map((image) => ({ node, image })));
  let imported = 0;
  const queue = wanted.values();
  await Promise.all(
    Array.from({ length: IMPORTS_AT_ONCE }, async () => {
      for (const { node, image } of queue) {
        if (await importImage(node, { image, signal })) imported += 1;
      }
    }),
  );
  return imported;
}

async function importImage(
  node: KubernetesNode,
  { image, signal }: { image: ImageArchive; signal: AbortSignal },
): Promise<boolean> {
  // The name tells the contents: it ends in their hash.
  if ((await listImages(node, signal)).includes(image.name)) return false;
  await commandOutput({ argv: ctr(node, ["images", "import", image.archive]) }, signal);
  return true;
}

async function listImages(node: KubernetesNode, signal: AbortSignal): Promise<string[]> {
  const text = await commandOutput({ argv: ctr(node, ["images", "list", "--quiet"]) }, signal);
  return text.split("\n").filter((line) => line !== "");
}

function ctr(node: KubernetesNode, words: readonly string[]): [string, ...string[]] {
  return onNode(node, [
    "ctr",
    `--address=${CONTAINERD_SOCKET}`,
    `--namespace=${NAMESPACE}`,
    ...words,
  ]);
}
