// The inviting side as a running part of an apiserver: the join service behind the join API, with
// the cluster's own server certificate, which may be renewed meanwhile, and the sweep that puts
// back what was not confirmed.
import { readFile } from "node:fs/promises";
import { pkiPaths, readKeyedCertificate } from "../../pki/files.ts";
import { createJoinApiServer, type ServerCertificate } from "../api/join-server.ts";
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
  const { pki } = clusterPaths(directory);
  let certificate = await readServerCertificate(pki);
  const invites = options.invites ?? createInviteStore(directory);
  const service = createJoinService({ ...options, invites });
  const api = await createJoinApiServer({
    listen,
    ...certificate,
    methods: service,
  });
  const followCertificate = async (): Promise<void> => {
    const found = await readServerCertificate(pki);
    if (found.certificateChain === certificate.certificateChain) return;
    api.useCertificate(found);
    certificate = found;
    log.info("Join server uses the renewed certificate");
  };
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
          try {
            await followCertificate();
          } catch (error) {
            log.warn("join server keeps its certificate", { error });
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

/** Throws for half of a renewal, of which the other half is there at the next look. */
async function readServerCertificate(pki: string): Promise<ServerCertificate> {
  const { serverCertificate, caCertificate, serverKey } = pkiPaths(pki);
  const { certificate, privateKey } = await readKeyedCertificate(serverCertificate, serverKey);
  const authority = await readFile(caCertificate, "utf8");
  return { certificateChain: `${certificate.pem}${authority}`, privateKey: privateKey.encodePem() };
}
