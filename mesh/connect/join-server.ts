// The inviting side as a running part of an apiserver: the join service behind the join API, with
// the cluster's own server certificate, and the sweep that puts back what was not confirmed.
import { readFile } from "node:fs/promises";
import { pkiPaths } from "../../pki/files.ts";
import { createJoinApiServer } from "../api/join-server.ts";
import { isMeshError } from "../core/errors.ts";
import { clusterPaths } from "../contexts/cluster-directory.ts";
import { createJoinService, type JoinServiceOptions } from "./join-service.ts";
import { createInviteStore, type InviteStore } from "./invite-store.ts";

export interface JoinServerOptions extends Omit<JoinServiceOptions, "invites"> {
  /** The cluster directory: its `pki/` is used, and its `invites/` if there is no other store. */
  readonly directory: string;
  readonly invites?: InviteStore;
  /** `ADDRESS:PORT`, port 0 for any. */
  readonly listen: string;
}

export interface JoinServer {
  readonly port: number;
  /** Serves until the signal aborts; resolves when the server is closed. */
  run(signal: AbortSignal): Promise<void>;
}

/** Often enough that a failed join blocks the next one for seconds only. */
const SWEEP_INTERVAL_MS = 5_000;

/** Resolves when the API can be reached; throws `unavailable` if it cannot listen. */
export async function createJoinServer(options: JoinServerOptions): Promise<JoinServer> {
  const { directory, listen, clock, log } = options;
  const pki = pkiPaths(clusterPaths(directory).pki);
  const [server, authority, privateKey] = await Promise.all(
    [pki.serverCertificate, pki.caCertificate, pki.serverKey].map((path) => readFile(path, "utf8")),
  );
  const invites = options.invites ?? createInviteStore(directory);
  const service = createJoinService({ ...options, invites });
  const api = await createJoinApiServer({
    listen,
    certificateChain: `${server}${authority}`,
    privateKey: privateKey ?? "",
    methods: service,
  });
  return {
    port: api.port,
    run: async (signal) => {
      try {
        for (;;) {
          try {
            await service.sweep();
          } catch (error) {
            log.warn("join sweep failed", { error });
          }
          await clock.sleep(SWEEP_INTERVAL_MS, signal);
        }
      } catch (error) {
        if (!isMeshError(error, "aborted")) throw error;
      } finally {
        api.close();
      }
    },
  };
}
