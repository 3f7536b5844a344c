// Tells `mesh` in the agent's own container where the node's socket and maps are: the file that
// mesh/contexts/local-nodes.ts reads.
import { join } from "node:path";
import { replaceFile } from "../atomic-file.ts";
import type { AgentConfig } from "../config.ts";

export async function writeLocalNodeFile(
  home: string,
  { nodeName, socket, bpfRoot }: Pick<AgentConfig, "nodeName" | "socket" | "bpfRoot">,
): Promise<void> {
  const path = join(home, "nodes", `${nodeName}.json`);
  const text = `${JSON.stringify({ socket, bpfRoot }, null, 2)}\n`;
  await replaceFile(path, text, { mode: 0o600, directoryMode: 0o700 });
}
