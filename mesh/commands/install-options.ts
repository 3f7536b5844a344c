// The flags that `mesh install`, `mesh upgrade` and `mesh uninstall` share, and what they mean:
// which cluster, which settings, how long to wait.
import { readFile } from "node:fs/promises";
import { MeshError } from "../core/errors.ts";
import { listKubeconfigContexts } from "../kubernetes/kubeconfig-contexts.ts";
import { createKubernetesTransport, type KubernetesTransport } from "../kubernetes/transport.ts";
import { APISERVER_NAME, AGENT_NAME } from "../kubernetes/object-names.ts";
import type { Change } from "../install/apply.ts";
import { waitForRollout } from "../install/rollout.ts";
import type { InstallSettings, SettingTexts } from "../install/settings.ts";
import { styled } from "../terminal.ts";
import type { CommandContext } from "./command.ts";

export const CLUSTER_FLAGS = {
  kubeconfig: { type: "string" },
  context: { type: "string" },
  namespace: { type: "string" },
  timeout: { type: "string" },
} as const;

export const SETTING_FLAGS = {
  "cluster-name": { type: "string" },
  "cluster-id": { type: "string" },
  "max-connected-clusters": { type: "string" },
  image: { type: "string" },
  "api-server": { type: "string" },
  endpoint: { type: "string", multiple: true },
  "join-endpoint": { type: "string" },
  cni: { type: "string" },
  "chain-after": { type: "string" },
  mtu: { type: "string" },
  "max-unavailable": { type: "string" },
  "accept-drills-from": { type: "string" },
  "policy-default-scope": { type: "string" },
} as const;

/** Part of the commands' usage. */
export const SETTINGS_HELP = `  --image NAME              the image to run (tombolo:VERSION)
  --api-server HOST:PORT    how pods on the host's network reach the API server: for clusters
                            without kube-proxy
  --endpoint https://H:P    where peers reach the cluster's etcd, may be repeated (every node)
  --join-endpoint HOST:PORT where peers reach its join API (the first node)
  --cni MODE                network: Tombolo gives pods their interface (default); chained: another
                            plugin does; none: no pods are attached
  --chain-after FILE        chained: the other plugin's configuration (found)
  --mtu N                   MTU between nodes (1500)
  --max-unavailable N       agents exchanged at once, a number or a share like 10% (1)
  --accept-drills-from WHO  own: drills of this cluster's operators only (default); peers: those of
                            connected clusters' operators, too
  --policy-default-scope S  what a policy's selector means that names no cluster. local: this one
                            (default); all: every one
`;

export const CLUSTER_HELP = `  --context NAME            context of the kubeconfig (its current one)
  --kubeconfig FILE         kubeconfig file ($KUBECONFIG, or ~/.kube/config)
  --namespace NAME          where Tombolo lives (tombolo-system)
  --timeout SECONDS         how long to wait (300)
`;

const TIMEOUT_SECONDS = 300;
const PACKAGE_FILE = new URL("../../package.json", import.meta.url);

/** The version of this `mesh`, which is the version that it installs. */
export async function readOwnVersion(): Promise<string> {
  const { version } = JSON.parse(await readFile(PACKAGE_FILE, "utf8")) as { version: string };
  return version;
}

/** Only flags that are settings and were given. */
export function settingTexts(values: Readonly<Record<string, unknown>>): SettingTexts {
  const names = [...Object.keys(SETTING_FLAGS), "namespace"];
  const given = names.filter((name) => values[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, values[name] as string | string[]]));
}

/** Throws `not_found` when no kubeconfig has the context. */
export async function openCluster(
  values: { readonly kubeconfig?: string | undefined; readonly context?: string | undefined },
  context: CommandContext,
): Promise<KubernetesTransport> {
  const paths = values.kubeconfig === undefined ? context.kubeconfigs : [values.kubeconfig];
  const known = await listKubeconfigContexts(paths);
  const wanted = values.context;
  const found = known.find(({ name, current }) =>
    wanted === undefined ? current : name === wanted,
  );
  if (found === undefined) {
    const names = known.map(({ name }) => name).join(", ") || "none";
    const which = wanted === undefined ? "a current context" : `context "${wanted}"`;
    throw new MeshError(
      "not_found",
      `Cannot find ${which} in kubeconfig ${paths.join(", ") || "(none is named)"}: it has ${names}`,
      { hint: "--context NAME and --kubeconfig FILE say which cluster is meant" },
    );
  }
  const access = { kubeconfig: found.kubeconfig, context: found.name };
  return createKubernetesTransport(access, { clock: context.clock });
}

export function parseTimeoutMs(text: string | undefined): number {
  if (text === undefined) return TIMEOUT_SECONDS * 1_000;
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text) * 1_000;
  throw new MeshError(
    "invalid_argument",
    `Cannot use --timeout "${text}": want a whole number of seconds from 1 to 99999`,
  );
}

/** Progress for people: on stderr, one line each. */
export function sayTo(context: CommandContext): (line: string) => void {
  return (line) => context.stderr.write(`mesh: ${line}\n`);
}

export function changeSayer(context: CommandContext): (change: Change) => void {
  const say = sayTo(context);
  return ({ object, outcome }) => {
    if (outcome !== "unchanged") say(`${outcome} ${object}`);
  };
}

/** Until the apiserver and every node's agent run in the version that was applied. */
export async function waitUntilReady(
  transport: KubernetesTransport,
  { settings, timeoutMs }: { readonly settings: InstallSettings; readonly timeoutMs: number },
  context: CommandContext,
): Promise<void> {
  const workloads = [
    { kind: "Deployment", name: APISERVER_NAME },
    { kind: "DaemonSet", name: AGENT_NAME },
  ] as const;
  const { clock, signal } = context;
  const { namespace } = settings;
  const options = { workloads, namespace, timeoutMs, clock, onProgress: sayTo(context) };
  await waitForRollout(transport, options, signal);
}

/** "3 created, 1 changed, 12 unchanged" */
export function summarize(changes: readonly Change[]): string {
  const outcomes = ["created", "changed", "removed", "unchanged"] as const;
  const counts = outcomes.map((outcome) => ({
    outcome,
    count: changes.filter((change) => change.outcome === outcome).length,
  }));
  const told = counts.filter(({ count }) => count > 0);
  return told.map(({ outcome, count }) => `${count} ${outcome}`).join(", ") || "nothing to do";
}

export function done(context: CommandContext, text: string): string {
  return `${styled(context.stdout, "green", text)}`;
}
