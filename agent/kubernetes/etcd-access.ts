// How an agent finds its cluster's etcd under Kubernetes: where it is, from the EndpointSlices of
// a Service, and with which certificates, from a Secret. Both are followed, kept as files, and
// outlive the Kubernetes API: once they have been known they are known.
//
// What it asks of the Kubernetes API, all in its own namespace, and all that it asks:
//
//   secrets          list, watch   metadata.name=tombolo-agent
//   endpointslices   list, watch   kubernetes.io/service-name=tombolo-apiserver
//
// (and which versions of discovery.k8s.io there are, which everybody may).
import { createBackoff } from "../../mesh/core/backoff.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError, messageFromError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { runTasks } from "../../mesh/core/tasks.ts";
import { discoverSlicePath } from "../../mesh/kubernetes/discovery.ts";
import { AGENT_SECRET, APISERVER_NAME } from "../../mesh/kubernetes/object-names.ts";
import type { KubernetesTransport } from "../../mesh/kubernetes/transport.ts";
import { createWatchLoop, type WatchLoop } from "../../mesh/kubernetes/watch-loop.ts";
import { apiObjectKey, type WatchChange } from "../../mesh/kubernetes/watch-state.ts";
import { Condition } from "../../mesh/kvstore/condition.ts";
import type { TlsFiles } from "../../mesh/kvstore/tls.ts";
import { etcdEndpointsFromSlices, type EndpointSlice } from "./endpoints.ts";
import { createRememberedAccess, type AgentSecret } from "./remembered-access.ts";

export interface EtcdAccessOptions {
  readonly transport: KubernetesTransport;
  readonly namespace: string;
  /** Private to us; made if it is missing. */
  readonly directory: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

export interface EtcdAccess {
  /** The last known, never emptied again. */
  endpoints(): readonly string[];
  readonly tls: TlsFiles;
  /** Resolves once endpoints and certificates are known; rejects with `aborted`. */
  known(signal: AbortSignal): Promise<void>;
  /** What is still unknown, a sentence each. */
  missing(): readonly string[];
  /** Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

const BACKOFF = { baseMs: 200, capMs: 10_000 };

export function createEtcdAccess(options: EtcdAccessOptions): EtcdAccess {
  const { transport, namespace, clock, random, log } = options;
  const remembered = createRememberedAccess(options.directory);
  const changed = new Condition();
  const slices = new Map<string, EndpointSlice>();
  let endpoints: readonly string[] = [];
  let hasCertificates = false;
  /** The Secret that is not in the files yet. */
  let pending: AgentSecret | undefined;
  let unsaved = false;

  function applySlice(change: WatchChange): void {
    if (change.kind === "put") slices.set(apiObjectKey(change.object), change.object);
    else if (change.kind === "delete") slices.delete(change.key);
    else for (const key of slices.keys()) if (!change.keys.has(key)) slices.delete(key);
    const found = etcdEndpointsFromSlices(slices.values());
    // A list is read in pages, and an apiserver that moves is nowhere for a moment.
    if (found.length === 0 || found.join() === endpoints.join()) return;
    endpoints = found;
    unsaved = true;
    log.info("Endpoints of etcd are known", { endpoints });
    changed.notify();
  }

  function applySecret(change: WatchChange): void {
    // A Secret that is deleted takes nothing with it: whoever deletes it revokes nothing.
    if (change.kind !== "put" || change.object.metadata.name !== AGENT_SECRET) return;
    pending = change.object;
    changed.notify();
  }

  /** One writer, so that an old Secret never overtakes a new one. */
  async function save(signal: AbortSignal): Promise<void> {
    const backoff = createBackoff({ ...BACKOFF, random });
    while (!signal.aborted) {
      try {
        await changed.until(() => pending !== undefined || unsaved, signal);
        await saveOnce();
        backoff.reset();
      } catch (error) {
        if (signal.aborted) return;
        log.warn("Access to etcd could not be saved", { error });
        await clock.sleep(backoff.nextMs(), signal).catch((cause: unknown) => {
          if (!signal.aborted) throw cause; // Only the sleep is cut short by the end.
        });
      }
    }
  }

  async function saveOnce(): Promise<void> {
    if (unsaved) {
      unsaved = false;
      await remembered.writeEndpoints(endpoints).catch((error: unknown) => {
        unsaved = true;
        throw error;
      });
    }
    const secret = pending;
    if (secret === undefined) return;
    try {
      await remembered.writeCertificates(secret);
      hasCertificates = true;
      log.info("Certificates for etcd are known", { secret: `${namespace}/${AGENT_SECRET}` });
    } catch (error) {
      if (!isMeshError(error, "invalid_argument")) throw error;
      // It will not get better by trying again; its next version may.
      log.error("The Secret of agents cannot be used", { error });
    }
    if (pending === secret) pending = undefined;
    changed.notify();
  }

  const loop = (part: {
    path: (signal: AbortSignal) => Promise<string>;
    apply: (change: WatchChange) => void;
  }): WatchLoop => createWatchLoop({ transport, ...part, clock, random, log });
  const sliceLoop = loop({
    path: async (signal) => slicePath(await discoverSlicePath(transport, signal), namespace),
    apply: applySlice,
  });
  const secretLoop = loop({
    path: () => Promise.resolve(secretPath(namespace)),
    apply: applySecret,
  });

  const missing = (): string[] => [
    ...(endpoints.length > 0
      ? []
      : [missingText(`endpoints of Service "${namespace}/${APISERVER_NAME}"`, sliceLoop)]),
    ...(hasCertificates ? [] : [missingText(`Secret "${namespace}/${AGENT_SECRET}"`, secretLoop)]),
  ];

  return {
    endpoints: () => endpoints,
    tls: remembered.tls,
    missing,
    known: (signal) => changed.until(() => endpoints.length > 0 && hasCertificates, signal),
    async run(signal) {
      try {
        endpoints = await remembered.readEndpoints();
        hasCertificates = await remembered.hasCertificates();
      } catch (error) {
        log.warn("What was remembered of etcd cannot be used", { reason: messageFromError(error) });
      }
      changed.notify();
      const waitsFor = missing();
      if (waitsFor.length > 0) log.info("Waiting for the way to etcd", { waitsFor });
      else log.info("The way to etcd is remembered from before", { endpoints });
      await runTasks(
        [
          { name: "follow-slices", run: (inner) => sliceLoop.run(inner) },
          { name: "follow-secret", run: (inner) => secretLoop.run(inner) },
          { name: "save-access", run: save },
        ],
        signal,
      );
    },
  };
}

function secretPath(namespace: string): string {
  const query = new URLSearchParams({ fieldSelector: `metadata.name=${AGENT_SECRET}` });
  return `/api/v1/namespaces/${namespace}/secrets?${query.toString()}`;
}

/** `/apis/discovery.k8s.io/v1/endpointslices` → those of our Service in our namespace. */
function slicePath(allNamespaces: string, namespace: string): string {
  const slash = allNamespaces.lastIndexOf("/");
  const query = new URLSearchParams({
    labelSelector: `kubernetes.io/service-name=${APISERVER_NAME}`,
  });
  const group = allNamespaces.slice(0, slash);
  return `${group}/namespaces/${namespace}${allNamespaces.slice(slash)}?${query.toString()}`;
}

function missingText(what: string, loop: WatchLoop): string {
  const reason = loop.problem();
  return `The ${what} ${what.startsWith("Secret") ? "is" : "are"} not known${reason && `: ${reason}`}`;
}
