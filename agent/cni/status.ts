// STATUS (CNI 1.1): whether an ADD would work now. Nothing is changed, no pod is looked at.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isMeshError, messageFromError } from "../../mesh/core/errors.ts";
import { endpointsMap } from "../../bpf/gen/maps.ts";
import { readNodeFile, type CniNode } from "./node-file.ts";
import { CNI_ERROR, CniError } from "./result.ts";

/** Throws with code 50 before the agent has set the node up, with 51 if that is lost again. */
export async function checkStatus(stateDirectory: string): Promise<void> {
  let node: CniNode;
  try {
    node = await readNodeFile(stateDirectory);
  } catch (error) {
    if (!isMeshError(error)) throw error;
    const hint = error.hint === undefined ? {} : { hint: error.hint };
    throw new CniError(CNI_ERROR.unavailable, messageFromError(error), hint);
  }
  const pins = [
    join(node.bpfRoot, "maps", endpointsMap.name),
    ...["from_pod", "to_pod"].map((name) => join(node.bpfRoot, "programs", name)),
  ];
  const missing = pins.filter((path) => !existsSync(path));
  if (missing.length === 0) return;
  throw new CniError(
    CNI_ERROR.unavailableAndLimited,
    `Cannot attach pods: the datapath is not there any more, "${missing[0]}" is missing`,
    { hint: "the agent makes it anew when it starts on this node" },
  );
}
