// `mesh upgrade`: shows what another version changes in a cluster, applies it with the settings
// that the installation has, removes what it no longer needs, and waits for the rollout.
import { applyManifests, pruneObjects, type Change } from "../install/apply.ts";
import { readClusterFacts } from "../install/facts.ts";
import { refuseServer } from "../install/preflight.ts";
import { renderInstallation } from "../install/render.ts";
import { parseNamespace } from "../install/settings.ts";
import { planUpgrade } from "../install/upgrade.ts";
import { DEFAULT_NAMESPACE } from "../kubernetes/object-names.ts";
import { formatJson, parseOutputFormat } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command } from "./command.ts";
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

const USAGE = `Usage: mesh upgrade [OPTIONS]

Brings an installation to the version of this \`mesh\`, or gives it other settings. Settings that are
not named stay as they are. Shows which objects change, applies them, removes objects that the
version no longer has, and waits until the apiserver and every agent run; agents are exchanged one
node at a time, and forwarding goes on meanwhile. Running it again after a failure goes on from
there.

${SETTINGS_HELP}${CLUSTER_HELP}  --dry-run                 show what would change; change nothing
  --force                   go back to an older version as well
  -o, --output FORMAT       table (default) or json

Examples:
  mesh upgrade --context east --dry-run
  mesh upgrade --context east --max-unavailable 10%
`;

const FLAGS = {
  ...CLUSTER_FLAGS,
  ...SETTING_FLAGS,
  "dry-run": { type: "boolean" },
  force: { type: "boolean" },
  output: { type: "string", short: "o" },
} as const;

interface UpgradeResult {
  readonly outcome: "planned" | "upgraded";
  readonly from: string;
  readonly to: string;
  readonly changes: readonly Change[];
}

export const upgradeCommand: Command = {
  name: "upgrade",
  summary: "bring an installation to this version, or change its settings",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    if (positionals.length > 0) {
      throw usageError(`Cannot upgrade "${positionals[0]}": want flags only`, USAGE);
    }
    const format = parseOutputFormat(values.output);
    const timeoutMs = parseTimeoutMs(values.timeout);
    const namespace = parseNamespace(values.namespace ?? DEFAULT_NAMESPACE);
    const transport = await openCluster(values, context);
    const { signal } = context;
    const facts = await readClusterFacts(transport, namespace, signal);
    refuseServer(facts);
    const version = await readOwnVersion();
    const { settings, from, remarks } = planUpgrade(facts.installed, {
      namespace,
      version,
      texts: settingTexts(values),
      force: values.force === true,
    });
    const say = sayTo(context);
    for (const remark of remarks) say(remark);
    const { budgetVersion } = facts;
    const manifests = renderInstallation(settings, { version, budgetVersion }).filter(
      ({ kind }) => kind !== "Namespace" || facts.namespace !== "foreign",
    );
    const plan = { manifests, namespace, dryRun: true };
    const planned = [
      ...(await applyManifests(transport, plan, signal)),
      ...(await pruneObjects(transport, plan, signal)),
    ];
    say(`version ${from} to ${version}: ${summarize(planned)}`);
    if (values["dry-run"] !== true) {
      const onChange = changeSayer(context);
      await applyManifests(transport, { manifests, onChange }, signal);
      await pruneObjects(transport, { manifests, namespace, onChange }, signal);
      await waitUntilReady(transport, { settings, timeoutMs }, context);
    }
    const outcome = values["dry-run"] === true ? "planned" : "upgraded";
    const result: UpgradeResult = { outcome, from, to: version, changes: planned };
    const verb = done(context, outcome === "planned" ? "Would upgrade:" : "Upgraded:");
    context.stdout.write(format === "json" ? formatJson(result) : `${verb} ${describe(result)}`);
    return 0;
  },
};

function describe({ outcome, from, to, changes }: UpgradeResult): string {
  const lines = changes
    .filter((change) => outcome === "planned" && change.outcome !== "unchanged")
    .map((change) => `  ${change.object} would be ${change.outcome}\n`);
  return `version ${from} to ${to}; ${summarize(changes)}\n${lines.join("")}`;
}
