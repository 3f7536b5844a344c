// `mesh install`: looks at a Kubernetes cluster, applies what Tombolo consists of, waits until it
// runs; or prints it for whoever applies it himself.
import { stringify } from "yaml";
import { applyManifests } from "../install/apply.ts";
import { readClusterFacts } from "../install/facts.ts";
import type { Manifest } from "../install/manifest.ts";
import { judgeInstall } from "../install/preflight.ts";
import { renderInstallation } from "../install/render.ts";
import { parseSettings, type InstallSettings } from "../install/settings.ts";
import { MeshError } from "../core/errors.ts";
import { formatJson, parseOutputFormat } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import {
  changeSayer,
  CLUSTER_FLAGS,
  CLUSTER_HELP,
  done,
  openCluster,
  parseTimeoutMs,
  readOwnVersion,
  sayTo,
  SETTING_FLAGS,
  SETTINGS_HELP,
  settingTexts,
  summarize,
  waitUntilReady,
} from "./install-options.ts";

const USAGE = `Usage: mesh install --cluster-name NAME --cluster-id N [OPTIONS]

Installs Tombolo in a Kubernetes cluster: checks the cluster, applies every object (server-side
apply), and waits until the apiserver and the agent of every node are ready. Peers know the cluster
by NAME and N, which cannot change later. An installation that was interrupted or failed is
repaired by running the same command again.

  --cluster-name NAME       the cluster's name in the mesh
  --cluster-id N            its number in the mesh, 1 to 255; no other cluster has it
  --max-connected-clusters N  255 or 511, the same everywhere in the mesh (255)
${SETTINGS_HELP}${CLUSTER_HELP}\
  --dry-run                 print what would be applied; asks no cluster
  -o, --output FORMAT       table (default) or json; with --dry-run yaml (default) or json

Examples:
  mesh install --context east --cluster-name east --cluster-id 1
  mesh install --cluster-name east --cluster-id 1 --dry-run -o yaml > tombolo.yaml
`;

const FLAGS = {
  ...CLUSTER_FLAGS,
  ...SETTING_FLAGS,
  "dry-run": { type: "boolean" },
  output: { type: "string", short: "o" },
} as const;

export const installCommand: Command = {
  name: "install",
  summary: "install Tombolo in a Kubernetes cluster",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    if (positionals.length > 0) {
      throw usageError(`Cannot install "${positionals[0]}": want flags only`, USAGE);
    }
    for (const name of ["cluster-name", "cluster-id"] as const) {
      if (values[name] === undefined) throw usageError(`Cannot install: want --${name}`, USAGE);
    }
    const version = await readOwnVersion();
    const settings = parseSettings(settingTexts(values), version);
    const timeoutMs = parseTimeoutMs(values.timeout);
    if (values["dry-run"] === true) {
      // Of a server we know nothing here; every one that is still maintained serves policy/v1.
      const manifests = renderInstallation(settings, { version, budgetVersion: "policy/v1" });
      context.stdout.write(formatManifests(manifests, values.output));
      return 0;
    }
    const format = parseOutputFormat(values.output);
    const result = await install({ settings, version, timeoutMs, values }, context);
    context.stdout.write(format === "json" ? formatJson(result) : describe(result, context));
    return 0;
  },
};

interface InstallResult {
  readonly cluster: string;
  readonly id: number;
  readonly namespace: string;
  readonly version: string;
  readonly changes: Awaited<ReturnType<typeof applyManifests>>;
}

async function install(
  wanted: {
    readonly settings: InstallSettings;
    readonly version: string;
    readonly timeoutMs: number;
    readonly values: Parameters<typeof openCluster>[0];
  },
  context: CommandContext,
): Promise<InstallResult> {
  const { settings, version, timeoutMs, values } = wanted;
  const { namespace, cluster } = settings;
  const transport = await openCluster(values, context);
  const facts = await readClusterFacts(transport, namespace, context.signal);
  const remarks = judgeInstall(facts, { settings, version });
  sayTo(context)(`${facts.server} is Kubernetes ${facts.version}`);
  for (const remark of remarks) sayTo(context)(remark);
  const rendered = renderInstallation(settings, { version, budgetVersion: facts.budgetVersion });
  // A namespace that was there belongs to whoever made it.
  const manifests = rendered.filter(
    ({ kind }) => kind !== "Namespace" || facts.namespace !== "foreign",
  );
  const changes = await applyManifests(
    transport,
    { manifests, onChange: changeSayer(context) },
    context.signal,
  );
  await waitUntilReady(transport, { settings, timeoutMs }, context);
  return { cluster: cluster.name, id: cluster.id, namespace, version, changes };
}

function describe(result: InstallResult, context: CommandContext): string {
  const { cluster, id, namespace, version, changes } = result;
  return (
    `${done(context, "Installed:")} cluster ${cluster} (id ${id}), version ${version}, ` +
    `in namespace ${namespace}; ${summarize(changes)}\n`
  );
}

function formatManifests(manifests: readonly Manifest[], format: string | undefined): string {
  if (format === undefined || format === "yaml") return formatYaml(manifests);
  if (format === "json") {
    return formatJson({ apiVersion: "v1", kind: "List", items: manifests });
  }
  throw new MeshError(
    "invalid_argument",
    `Cannot use --output "${format}" with --dry-run: want yaml or json`,
  );
}

export function formatYaml(manifests: readonly Manifest[]): string {
  const options = { lineWidth: 0, aliasDuplicateObjects: false } as const;
  return manifests.map((manifest) => `---\n${stringify(manifest, options)}`).join("");
}
