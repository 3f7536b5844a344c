// `mesh connect`: makes clusters that this machine may operate read each other. The work is done
// by mesh/connect/; here are words, and what a person and a machine see of it.
import { connectClusters, type ConnectObserver, type ConnectResult } from "../connect/connect.ts";
import { openContext } from "../connect/context-access.ts";
import { describeStep } from "../connect/plan.ts";
import { hasErrors, type Finding } from "../connect/preflight.ts";
import { MeshError } from "../core/errors.ts";
import { formatJson, parseOutputFormat, styled, type Output } from "../terminal.ts";
import { parseArguments, usageError } from "./arguments.ts";
import type { Command, CommandContext } from "./command.ts";
import { commonNamespace, enterNamespace } from "./enter-namespace.ts";
import { CONTEXT_FLAGS, CONTEXT_HELP, findContext, type ContextWish } from "./select-context.ts";

const USAGE = `Usage: mesh connect CONTEXT CONTEXT [--dry-run] [--output table|json]
       mesh connect --context NAME --destination-context NAME [--dry-run] [--output table|json]
       mesh connect --all CONTEXT CONTEXT... [--dry-run] [--output table|json]

Makes clusters one network. Checks first whether they fit together, shows what will change,
changes it, and waits until each cluster has read all of the others. If anything fails, every
cluster is left as it was. Running it again repairs what is missing or broken.

A context is one of this machine's (mesh context list) or one of the kubeconfig. In a Kubernetes
cluster, connections are Secrets and a ConfigMap: docs/connecting.md says which.

  --all          more than two contexts: connect each with every other
  --dry-run      show the checks and the plan; change nothing
  --context, --destination-context
                 the two contexts, instead of words
  --destination-kubeconfig
                 file with the destination's context, if it is another than --kubeconfig
${CONTEXT_HELP}  --output       table (default) or json

Examples:
  mesh connect east west
  mesh connect --context east --destination-context west --kubeconfig clusters.yaml
  mesh connect --all east west north --dry-run
`;

const FLAGS = {
  ...CONTEXT_FLAGS,
  context: { type: "string" },
  "destination-context": { type: "string" },
  "destination-kubeconfig": { type: "string" },
  all: { type: "boolean" },
  "dry-run": { type: "boolean" },
  output: { type: "string" },
} as const;

export const connectCommand: Command = {
  name: "connect",
  summary: "make clusters one network; checks first, rolls back on failure",
  usage: USAGE,
  async run(args, context) {
    const { values, positionals } = parseArguments(args, { flags: FLAGS, usage: USAGE });
    const format = parseOutputFormat(values.output);
    const dryRun = values["dry-run"] === true;
    const wishes = wishedContexts(positionals, values);
    const names = wishes.map(({ name }) => name);
    validateNames(names, { all: values.all === true, files: wishes.map((w) => w.kubeconfig) });
    const contexts = await Promise.all(wishes.map((wish) => findContext(wish, context)));
    const status = await enterNamespace(commonNamespace(contexts), context);
    if (status !== undefined) return status;
    const result = await connectClusters(
      contexts.map((item) => openContext(item, context).access),
      { dryRun, clock: context.clock, signal: context.signal, observer: createObserver(context) },
    );
    if (format === "json") context.stdout.write(formatJson(jsonFromResult(result)));
    else context.stdout.write(describeResult(result, context.stdout));
    return result.outcome === "refused" ? 1 : 0;
  },
};

/** Findings as lines for people: what, and what to do about it. */
export function describeFindings(findings: readonly Finding[], output: Output): string {
  return findings
    .map(({ severity, message, hint }) => {
      const style = severity === "error" ? "red" : "yellow";
      return `${styled(output, style, `${severity}:`)} ${message}\n  hint: ${hint}\n`;
    })
    .join("");
}

/** The contexts that words or flags name; no more than one of both may. */
function wishedContexts(
  words: readonly string[],
  values: {
    readonly context?: string | undefined;
    readonly "destination-context"?: string | undefined;
    readonly kubeconfig?: string | undefined;
    readonly "destination-kubeconfig"?: string | undefined;
    readonly namespace?: string | undefined;
  },
): ContextWish[] {
  const { context, kubeconfig, namespace } = values;
  const destination = values["destination-context"];
  const named = [context, destination].filter((name) => name !== undefined);
  if (named.length > 0 && (named.length < 2 || words.length > 0)) {
    throw usageError(
      "Cannot connect: want two contexts as words, or --context and --destination-context",
      USAGE,
    );
  }
  const destinationFile = values["destination-kubeconfig"] ?? kubeconfig;
  const names = named.length > 0 ? named : words;
  return names.map((name, index) => ({
    name,
    namespace,
    kubeconfig: index === 0 ? kubeconfig : destinationFile,
  }));
}

function validateNames(
  names: readonly string[],
  { all, files }: { all: boolean; files: readonly (string | undefined)[] },
): void {
  if (names.length < 2) {
    throw usageError(`Cannot connect: want two contexts or more, got ${names.length}`, USAGE);
  }
  if (names.length > 2 && !all) {
    throw new MeshError("invalid_argument", `Cannot connect ${names.length} contexts at once`, {
      hint: `to connect each with every other: mesh connect --all ${names.join(" ")}`,
    });
  }
  // One name may stand for two clusters in two files.
  const twice = names.find((name, index) => {
    const first = names.indexOf(name);
    return first !== index && files[first] === files[index];
  });
  if (twice !== undefined) {
    throw new MeshError(
      "invalid_argument",
      `Cannot connect "${twice}" to itself: name each context once`,
    );
  }
}

function createObserver({ stderr }: CommandContext): ConnectObserver {
  const say = (line: string): void => stderr.write(`${line}\n`);
  return {
    onFindings: (findings) => {
      stderr.write(describeFindings(findings, stderr));
      if (!hasErrors(findings)) say("preflight: the clusters fit together");
    },
    onPlan: (steps) => {
      if (steps.length === 0) say("plan: nothing to change");
    },
    onStep: (step) => say(`apply: ${describeStep(step)}`),
    onProgress: (lines) => {
      for (const line of lines) say(`verify: ${line}`);
    },
    onRollback: () => say("rolling back: every cluster is put back as it was"),
  };
}

function describeResult(result: ConnectResult, output: Output): string {
  const names = result.clusters.join(", ");
  switch (result.outcome) {
    case "refused":
      return `Not connected: ${names}. Nothing was changed.\n`;
    case "planned": {
      if (result.steps.length === 0) return `${names}: connected already, nothing to change.\n`;
      const steps = result.steps.map((step) => `  ${describeStep(step)}\n`).join("");
      return `${styled(output, "bold", "Would change:")}\n${steps}`;
    }
    case "connected":
      return `${styled(output, "green", "Connected:")} ${names}\n`;
  }
}

function jsonFromResult(result: ConnectResult): object {
  return {
    ...result,
    steps: result.steps.map((step) => ({ ...step, description: describeStep(step) })),
  };
}
