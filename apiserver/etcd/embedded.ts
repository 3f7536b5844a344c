// The embedded etcd: a daemon that is kept running (daemon/kept-daemon.ts) on a data directory of its
// own. One without data gets its users before it is put on the network (founding.ts).
import { mkdir } from "node:fs/promises";
import type { Clock } from "../../mesh/core/clock.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import type { PkiPaths } from "../../pki/files.ts";
import type { Hold } from "../drill/hold.ts";
import { createKeptDaemon, type DaemonProcess, type KeptDaemon } from "../daemon/kept-daemon.ts";
import {
  embeddedEtcdArguments,
  foundingEtcdArguments,
  type EmbeddedEtcdPaths,
} from "./arguments.ts";
import { clusterToken } from "./cluster-token.ts";
import { foundEtcd, isFounded } from "./founding.ts";

export interface EmbeddedEtcdOptions {
  /** Name of the cluster, whose users it gets. */
  readonly cluster: string;
  readonly listen: string;
  readonly keepRunning: boolean;
  /** While a drill holds it, it is not started again. */
  readonly hold?: Pick<Hold, "active" | "over"> | undefined;
  readonly paths: EmbeddedEtcdPaths;
  readonly pki: PkiPaths;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

export type EmbeddedEtcd = Pick<KeptDaemon, "run" | "status">;

export function createEmbeddedEtcd(options: EmbeddedEtcdOptions): EmbeddedEtcd {
  const { paths } = options;
  // Asked once a look: an etcd without data is given another token with every question.
  let token = "";
  return createKeptDaemon({
    ...options,
    program: "etcd",
    isOurs: (line) =>
      line[0]?.endsWith("etcd") === true && line.includes(`--data-dir=${paths.data}`),
    wanted: async () => {
      token = await clusterToken(paths);
      return embeddedEtcdArguments({ ...options, data: paths.data, clusterToken: token });
    },
    prepare: (process) => found(process, { ...options, token }),
  });
}

async function found(
  process: DaemonProcess,
  options: EmbeddedEtcdOptions & { readonly token: string },
): Promise<void> {
  const { paths, token } = options;
  await mkdir(paths.data, { recursive: true, mode: 0o700 });
  if (await isFounded(paths, token)) return;
  const pid = await process.start(foundingEtcdArguments({ data: paths.data, clusterToken: token }));
  try {
    await foundEtcd({ pid, token }, options);
  } finally {
    await process.stop(pid);
  }
}
