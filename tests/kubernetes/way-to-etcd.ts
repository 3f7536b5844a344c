// An agent's way to etcd, from nothing, with everything that it tells people.
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { createEtcdAccess, type EtcdAccess } from "../../agent/kubernetes/etcd-access.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { createJsonLogger } from "../../mesh/core/logger.ts";
import { createKubernetesTransport } from "../../mesh/kubernetes/transport.ts";

export interface Way {
  readonly access: EtcdAccess;
  /** Log, and why it is not ready. */
  told(): string;
  stop(): Promise<void>;
}

export async function startWay(options: {
  readonly kubeconfig: string;
  readonly namespace: string;
  /** Where a new directory is made. */
  readonly directory: string;
}): Promise<Way> {
  const { kubeconfig, namespace } = options;
  const directory = await mkdtemp(join(options.directory, "agent-"));
  const lines: string[] = [];
  const clock = systemClock;
  const log = createJsonLogger({ write: (line) => lines.push(line), nowMs: clock.nowMs });
  const transport = createKubernetesTransport({ kubeconfig }, { clock });
  const seams = { clock, random: Math.random, log };
  const access = createEtcdAccess({ ...seams, transport, namespace, directory });
  const abort = new AbortController();
  const running = access.run(abort.signal);
  return {
    access,
    told: () => [...access.missing(), ...lines].join("\n"),
    async stop() {
      abort.abort();
      await running;
    },
  };
}
