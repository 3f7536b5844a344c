// The examples at the end of every command's help, made fit to be run on a test's lab.
import { findCluster, findNode, type LabPlan } from "../../deploy/lab/plan.ts";

/** Makes or removes a lab, needs a token that nobody has yet, or never ends. */
const UNFIT = /^mesh (lab (up|down|cut)|join)\b|--follow/;
/** Wants a service with backends, or a report: tests/e2e/drill.test.ts and drains' own tests. */
const FOR_DRILLS = /^mesh (drill (plan|run|show|compare|list --trend)\b|(un)?drain .*--service)/;
/** Wants a cluster of Kubernetes: tests/kubernetes and tests/kubernetes-lab run these commands. */
const FOR_KUBERNETES = /^mesh (install|upgrade|uninstall|probe|lab kubectl)\b|--kubeconfig/;
/** Wants a policy or a pod that has one: tests/e2e/policy-object-store.test.ts runs these commands. */
const FOR_POLICIES = /^mesh (policy (get|explain|trace)|endpoint get)\b/;

export interface Example {
  readonly line: string;
  readonly json: boolean;
}

/** A command that can answer in JSON has an example that does, its own or one made here. */
export function examplesOf(usage: string): Example[] {
  const [, examples = ""] = usage.split(/^Examples?:$/m);
  const found = examples
    .split("\n")
    .map((line) => line.trim())
    .filter(
      (line) =>
        line !== "" &&
        ![UNFIT, FOR_DRILLS, FOR_KUBERNETES, FOR_POLICIES].some((unfit) => unfit.test(line)),
    )
    .map((line) => ({ line, json: line.includes("--output json") }));
  const [first] = found;
  if (first === undefined || !usage.includes("--output") || found.some(({ json }) => json)) {
    return found;
  }
  return [...found, { line: `${first.line} --output json`, json: true }];
}

/** The words behind "mesh", for a lab of another name and home, with one node a cluster. */
export function wordsForLab(line: string, plan: LabPlan): string[] {
  const node = findNode(findCluster(plan, "east"), "node1");
  const text = line
    .replace("/sys/fs/bpf/tombolo", node.bpfRoot)
    .replace("/run/tombolo/agent.sock", node.socket)
    .replace("node2", "node1");
  // As a shell would: what stands in double quotes is one word.
  const words = [...text.matchAll(/"([^"]*)"|\S+/g)]
    .map(([word, quoted]) => quoted ?? word)
    .slice(1);
  if (words[0] !== "lab") return words;
  return words.toSpliced(words[1] === "pod" ? 3 : 2, 0, "--name", plan.name);
}
