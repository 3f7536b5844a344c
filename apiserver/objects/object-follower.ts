// The cluster's objects in Kubernetes and its directory, kept equal while the apiserver runs:
// Secrets and ConfigMaps of our namespace become files, the agents' certificate becomes a Secret,
// and what cannot be used is told. DESIGN.md "Kubernetes" lists the objects.
//
// What is asked of the API, and no more; mesh/install/access-rules.ts makes roles of it:
//
//   namespace   secrets      get, list, watch    follows all of ours
//   namespace   secrets      create              tombolo-ca, tombolo-agent
//   namespace   secrets      update              tombolo-agent
//   namespace   configmaps   get, list, watch    tombolo-cluster, tombolo-readers,
//                                                tombolo-operations
//   namespace   configmaps   list, get, create, update    tombolo-identities-N
//   namespace   events       create              what is wrong with a Secret or ConfigMap
//   cluster     nodes        list, watch         endpoints, where tombolo-cluster names none
//
// The join server, which keeps peers, readers and invitations in objects, asks for more:
//
//   namespace   secrets      create, update, delete    tombolo-peer-NAME, tombolo-invites
//   namespace   configmaps   create, update            tombolo-readers
//   namespace   leases       get, create, update       tombolo-connect
import type { ConfigMap, Secret } from "../../mesh/connect/kubernetes-objects.ts";
import type { NodeObject } from "../../mesh/connect/kubernetes-profile.ts";
import { clusterPaths, type ClusterProfile } from "../../mesh/contexts/cluster-directory.ts";
import { createBackoff } from "../../mesh/core/backoff.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import { isMeshError, messageFromError } from "../../mesh/core/errors.ts";
import type { Logger } from "../../mesh/core/logger.ts";
import { runTasks } from "../../mesh/core/tasks.ts";
import {
  AGENT_SECRET,
  AUTHORITY_SECRET,
  CLUSTER_CONFIG_MAP,
  OPERATIONS_CONFIG_MAP,
  READERS_CONFIG_MAP,
} from "../../mesh/kubernetes/object-names.ts";
import type { KubernetesTransport } from "../../mesh/kubernetes/transport.ts";
import { createWatchLoop, LONE_WATCH_LIMITS } from "../../mesh/kubernetes/watch-loop.ts";
import type { ApiObject } from "../../mesh/kubernetes/watch-state.ts";
import { initialisePki } from "../../pki/files.ts";
import { createBell } from "../directory-watch.ts";
import { createEventRecorder } from "../source/kubernetes/event-recorder.ts";
import type { SourceProblem } from "../source/objects.ts";
import { planAgentSecret, readAgentCredentials, writeAgentSecret } from "./agent-secret.ts";
import { followBundle, restoreAuthority } from "./authority.ts";
import { isPeerSecret, planFiles, type DesiredFiles, type ObjectProblem } from "./desired-files.ts";
import { createObjectDirectory } from "./directory.ts";
import { FollowedKind } from "./followed-kind.ts";
import { createIdentityObjects, type IdentityObjects } from "./identity-objects.ts";
import { prepareDirectory } from "./prepare.ts";
import { createProblemBook } from "./problem-book.ts";

export interface ObjectFollowerOptions {
  readonly transport: KubernetesTransport;
  readonly namespace: string;
  /** The cluster directory. */
  readonly root: string;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
}

export interface ObjectFollower {
  /** Where the objects are. */
  readonly place: { readonly transport: KubernetesTransport; readonly namespace: string };
  /** Which number stands for which labels, for whoever allocates. */
  readonly identities: Pick<IdentityObjects, "read" | "run">;
  /** Resolves when the directory has a profile and an authority; comes before `run`. */
  prepare(signal: AbortSignal): Promise<ClusterProfile>;
  /** Keeps both equal. Resolves when the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when the directory's peers are all that there are: another one is removed. */
  peersWhole(signal: AbortSignal): Promise<void>;
  /** For status. */
  problems(): readonly SourceProblem[];
}

/** Finds what somebody has done to the directory, and what has expired. */
const RECHECK_MS = 60_000;
/** Whoever fights with us over an object costs so much and no more. */
const MIN_INTERVAL_MS = 200;
/** Leaves are renewed when a third of three years is left. */
const RENEW_MS = 24 * 3_600_000;
const BACKOFF = { baseMs: 500, capMs: 30_000 };

export function createObjectFollower(options: ObjectFollowerOptions): ObjectFollower {
  const { transport, namespace, root, clock, random, log } = options;
  const { pki } = clusterPaths(root);
  const directory = createObjectDirectory(root, options);
  const bell = createBell();
  const whole = Promise.withResolvers<void>();
  const core = `/api/v1/namespaces/${namespace}`;

  const changed = (): void => bell.ring();
  const secrets = new FollowedKind<Secret>({ keep: keepSecret, changed });
  const configMaps = new FollowedKind<ConfigMap>({ keep: keepConfigMap, changed });
  const nodes = new FollowedKind<NodeObject>({ keep: keepNode, changed });
  const identities = createIdentityObjects({ ...options, changed });
  const kinds = [
    { kind: "Secret", path: `${core}/secrets`, followers: [secrets] },
    { kind: "ConfigMap", path: `${core}/configmaps`, followers: [configMaps, identities] },
    { kind: "Node", path: "/api/v1/nodes", followers: [nodes] },
  ].map(({ kind, path, followers }) => ({
    kind,
    loop: createWatchLoop({
      ...options,
      limits: LONE_WATCH_LIMITS,
      path: async () => path,
      apply: (change) => {
        for (const follower of followers) follower.apply(change);
      },
    }),
  }));
  const recorders = {
    Secret: createEventRecorder({ ...options, kind: "Secret" }),
    ConfigMap: createEventRecorder({ ...options, kind: "ConfigMap" }),
  };
  const book = createProblemBook({ namespace, recorders, log });
  let profile: ClusterProfile | undefined;
  /** Why the directory or the agents' Secret is not as it should be, or empty. */
  let failure = "";

  async function applyAll(running: ClusterProfile, signal: AbortSignal): Promise<void> {
    const desired = planFiles({ secrets, configMaps, nodes }, running);
    const problems = [...desired.problems, ...identities.problems()];
    await directory.apply(desired);
    if (desired.peersWhole) {
      await directory.markWhole();
      whole.resolve();
    }
    problems.push(...(await applyAuthority(desired)));
    book.report(problems);
    if (desired.authorityMissing) {
      await restoreAuthority({ transport, namespace, pki }, signal);
      log.warn("The authority's Secret was missing and is put back", { name: AUTHORITY_SECRET });
    }
    if (secrets.whole) await publish(signal);
  }

  async function applyAuthority({ authority }: DesiredFiles): Promise<ObjectProblem[]> {
    if (authority === undefined) return [];
    try {
      const changed = await followBundle({ pki, nowMs: clock.nowMs }, authority);
      if (changed) log.info("Trust bundle is written");
      return [];
    } catch (error) {
      if (!isMeshError(error, "conflict")) throw error;
      const object = secrets.find(AUTHORITY_SECRET);
      const message = messageFromError(error);
      return [{ kind: "Secret", name: AUTHORITY_SECRET, object, message }];
    }
  }

  async function publish(signal: AbortSignal): Promise<void> {
    const credentials = await readAgentCredentials(pki);
    const body = planAgentSecret(secrets.find(AGENT_SECRET), { credentials, namespace });
    if (body === undefined) return;
    const written = await writeAgentSecret(transport, { body, namespace }, signal);
    if (written !== undefined) secrets.put(written);
    log.info("The agents' certificate is published", { name: AGENT_SECRET });
  }

  async function keepEqual(running: ClusterProfile, signal: AbortSignal): Promise<void> {
    const backoff = createBackoff({ ...BACKOFF, random });
    while (!signal.aborted) {
      try {
        await applyAll(running, signal);
        failure = "";
        backoff.reset();
        await clock.sleep(MIN_INTERVAL_MS, signal);
        await bell.wait(RECHECK_MS, { clock, signal });
      } catch (error) {
        if (signal.aborted) return;
        failure = messageFromError(error);
        log.warn("Directory and objects are not equal yet; trying again", { reason: failure });
        await clock.sleep(backoff.nextMs(), signal);
      }
    }
  }

  async function renew(running: ClusterProfile, signal: AbortSignal): Promise<void> {
    for (;;) {
      await clock.sleep(RENEW_MS, signal);
      try {
        await initialisePki(pki, { cluster: running.name, nowMs: clock.nowMs() });
      } catch (error) {
        log.error("Certificates cannot be renewed", { reason: messageFromError(error) });
      }
      bell.ring();
    }
  }

  return {
    place: { transport, namespace },
    identities,
    async prepare(signal) {
      profile = await prepareDirectory({ ...options, directory }, signal);
      return profile;
    },
    async run(signal) {
      const running = profile;
      if (running === undefined) throw new Error("prepare comes first");
      if (await directory.isWhole()) whole.resolve();
      const tasks = [
        ...kinds.map(({ kind, loop }) => ({
          name: `follow ${kind}`,
          run: (inner: AbortSignal) => loop.run(inner),
        })),
        { name: "keep equal", run: (inner: AbortSignal) => keepEqual(running, inner) },
        { name: "renew", run: (inner: AbortSignal) => renew(running, inner) },
        ...Object.entries(recorders).map(([kind, recorder]) => ({
          name: `events of ${kind}s`,
          run: (inner: AbortSignal) => recorder.run(inner),
        })),
      ];
      await runTasks(tasks, signal);
    },
    async peersWhole(signal) {
      await Promise.race([
        whole.promise,
        new Promise<void>((resolve) => {
          if (signal.aborted) resolve();
          else signal.addEventListener("abort", () => resolve(), { once: true });
        }),
      ]);
    },
    problems: () => [
      ...kinds.flatMap(({ kind, loop }) =>
        loop.problem() === "" ? [] : [noObject(`Cannot follow ${kind}s: ${loop.problem()}`)],
      ),
      ...(failure === "" ? [] : [noObject(failure)]),
      ...book.problems(),
    ],
  };
}

function noObject(message: string): SourceProblem {
  return { file: "", line: 0, column: 0, severity: "error", message, object: "" };
}

const OWN_SECRETS = [AUTHORITY_SECRET, AGENT_SECRET];
const OWN_CONFIG_MAPS = [CLUSTER_CONFIG_MAP, READERS_CONFIG_MAP, OPERATIONS_CONFIG_MAP];

/** Objects of a list do not say of themselves what they are, and messages must. */
function keepSecret(object: ApiObject): Secret | undefined {
  const secret: Secret = { ...object, kind: "Secret" };
  return OWN_SECRETS.includes(object.metadata.name) || isPeerSecret(secret) ? secret : undefined;
}

function keepConfigMap(object: ApiObject): ConfigMap | undefined {
  return OWN_CONFIG_MAPS.includes(object.metadata.name)
    ? { ...object, kind: "ConfigMap" }
    : undefined;
}

/** Nodes are large, and thousands. */
function keepNode({ metadata: { name }, ...rest }: NodeObject): NodeObject {
  const addresses = rest.status?.addresses;
  return { metadata: { name }, status: addresses === undefined ? {} : { addresses } };
}
