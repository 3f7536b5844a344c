// Tells `mesh` in the agent's own container where the node's socket and maps are: the file that
// mesh/contexts/local-nodes.ts reads.
import { join } from "node:path";
import { replaceFile } from "../atomic-file.ts";
import type { AgentConfig } from "../config.ts";

export function localNodeFile(home: string, nodeName: string): string {
  return join(home, "nodes", `${nodeName}.json`);
}

export async function writeLocalNodeFile(
  home: string,
  { nodeName, socket, bpfRoot }: Pick<AgentConfig, "nodeName" | "socket" | "bpfRoot">,
): Promise<void> {
  const text = `${JSON.stringify({ socket, bpfRoot }, null, 2)}\n`;
  await replaceFile(localNodeFile(home, nodeName), text, { mode: 0o600, directoryMode: 0o700 });
}
