// The sockets that requests leave by: one a family, from the node's own address in the overlay,
// opened again when that changes.
import type { Logger } from "../../mesh/core/logger.ts";
import type { EchoSocket } from "./echo-socket.ts";
import type { NodeDirectory } from "./node-directory.ts";
import type { Family } from "./observation.ts";

export interface EchoSocketsOptions {
  readonly directory: Pick<NodeDirectory, "ownAddress">;
  /** Throws what keeps it from being opened. */
  readonly openSocket: (family: Family, source: string) => EchoSocket;
  readonly log: Logger;
}

/** Between attempts to open a socket. */
const RETRY_ROUNDS = 50;

export interface EchoSockets {
  /** Why a family has no socket although it should; empty if all is well. */
  readonly problem: string;
  /** Undefined while the node has no address of the family, or the socket cannot be opened. */
  of(family: Family, round: number): EchoSocket | undefined;
  close(): void;
}

export function createEchoSockets(options: EchoSocketsOptions): EchoSockets {
  const { directory, openSocket, log } = options;
  const open = new Map<Family, { source: string; socket: EchoSocket }>();
  const problems = new Map<Family, string>();
  const retryAt = new Map<Family, number>();
  return {
    get problem() {
      return [...problems.values()][0] ?? "";
    },
    of(family, round) {
      const source = directory.ownAddress(family);
      const current = open.get(family);
      if (current !== undefined && current.source === source) return current.socket;
      current?.socket.close();
      open.delete(family);
      if (source === undefined || round < (retryAt.get(family) ?? 0)) return undefined;
      try {
        const socket = openSocket(family, source);
        open.set(family, { source, socket });
        problems.delete(family);
        return socket;
      } catch (error) {
        if (!problems.has(family)) log.warn("Nodes cannot be probed", { family, error });
        problems.set(family, error instanceof Error ? error.message : String(error));
        retryAt.set(family, round + RETRY_ROUNDS);
        return undefined;
      }
    },
    close() {
      for (const { socket } of open.values()) socket.close();
      open.clear();
    },
  };
}
