// kubeconfig files and service accounts → the library's KubeConfig. What the library leaves out of
// the format is put in here: `tokenFile`, and what credential plugins are told of their caller.
//
// The library is loaded when a cluster uses it: it holds a class for every object of Kubernetes,
// which a cluster that is described by manifests should not pay for.
import { readFile } from "node:fs/promises";
import { dirname, isAbsolute, resolve } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node";
import { parse } from "yaml";
import { isMeshError, MeshError } from "../core/errors.ts";

export interface KubernetesAccess {
  /** Path of a kubeconfig file, or "in-cluster" for the service account of the pod. */
  readonly kubeconfig: string;
  /** The file's current context if left out. */
  readonly context?: string | undefined;
  /** Where the root of the pod's files is found; "/" if left out. */
  readonly root?: string | undefined;
}

const IN_CLUSTER = "in-cluster";

/** What a later reading has to differ from to be worth anything: the text of the file. */
export async function readKubeconfigText({ kubeconfig }: KubernetesAccess): Promise<string> {
  // The files of a service account are read by the library, again and again.
  if (kubeconfig === IN_CLUSTER) return "";
  try {
    return await readFile(kubeconfig, "utf8");
  } catch (cause) {
    throw new MeshError("not_found", `Cannot read kubeconfig "${kubeconfig}"`, { cause });
  }
}

/** The server and user of the wanted context. Throws `not_found` or `invalid_argument`. */
export async function createKubeConfig(
  access: KubernetesAccess,
  text: string,
): Promise<KubeConfig> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const kube = new KubeConfig();
  if (access.kubeconfig === IN_CLUSTER) {
    kube.loadFromCluster(access.root?.replace(/\/$/, ""));
    const { server = "" } = kube.getCurrentCluster() ?? {};
    if (!server.includes("undefined")) return kube;
    throw new MeshError(
      "not_found",
      "Cannot use the service account of the pod: this process does not run in a pod, want KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT in its environment",
    );
  }
  const place = resolve(access.kubeconfig);
  try {
    kube.loadFromString(JSON.stringify(completed(parse(text), dirname(place))));
    kube.makePathsAbsolute(dirname(place));
  } catch (cause) {
    const reason = isMeshError(cause) ? cause.message : firstLine(cause);
    throw new MeshError("invalid_argument", `Cannot use kubeconfig "${place}": ${reason}`);
  }
  selectContext(kube, { wanted: access.context, place });
  return kube;
}

function selectContext(
  kube: KubeConfig,
  { wanted, place }: { wanted: string | undefined; place: string },
): void {
  if (wanted !== undefined) kube.setCurrentContext(wanted);
  const name = kube.getCurrentContext() || "";
  const context = kube.getContextObject(name);
  if (context === null) {
    const known = kube.getContexts().map((other) => other.name);
    const asked = name === "" ? "the current context" : `context "${name}"`;
    const why = known.length === 0 ? "it has none" : `want one of ${known.join(", ")}`;
    throw new MeshError("not_found", `Cannot use ${asked} of kubeconfig "${place}": ${why}`);
  }
  for (const [what, missing, found] of [
    ["cluster", context.cluster, kube.getCurrentCluster()],
    ["user", context.user, kube.getCurrentUser()],
  ] as const) {
    if (found !== null) continue;
    throw new MeshError(
      "not_found",
      `Cannot use context "${name}" of kubeconfig "${place}": the file has no ${what} "${missing}"`,
    );
  }
}

/** Users as the library takes them. */
function completed(config: unknown, directory: string): object {
  if (!isRecord(config)) throw new MeshError("invalid_argument", "want a map");
  const users = Array.isArray(config["users"]) ? config["users"] : [];
  return { ...config, users: users.map((item: unknown) => completedUser(item, directory)) };
}

function completedUser(item: unknown, directory: string): unknown {
  if (!isRecord(item) || !isRecord(item["user"])) return item;
  const user = { ...item["user"] };
  const { tokenFile } = user;
  if (typeof tokenFile === "string" && tokenFile !== "") {
    // It goes before a token that stands in the file, and is read again as it changes.
    delete user["token"];
    user["auth-provider"] = {
      name: "tokenFile",
      config: { tokenFile: resolve(directory, tokenFile) },
    };
  }
  if (isRecord(user["exec"])) user["exec"] = completedPlugin(user["exec"], directory);
  return { ...item, user };
}

/** Plugins learn their caller's version from the environment, and stand relative to the file. */
function completedPlugin(plugin: Record<string, unknown>, directory: string): object {
  const { command, env, apiVersion } = plugin;
  const info = JSON.stringify({ apiVersion, kind: "ExecCredential", spec: { interactive: false } });
  const relative = typeof command === "string" && command.includes("/") && !isAbsolute(command);
  return {
    ...plugin,
    command: relative ? resolve(directory, command) : command,
    env: [
      ...(Array.isArray(env) ? (env as unknown[]) : []),
      { name: "KUBERNETES_EXEC_INFO", value: info },
    ],
  };
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split("\n", 1)[0]?.replace(/:$/, "") ?? "";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
