// Every command, in the order in which `mesh --help` shows them.
import { bridgeCommand } from "./bridge.ts";
import { bpfClustersCommand } from "./bpf-clusters.ts";
import { bpfCtCommand } from "./bpf-ct.ts";
import { bpfDropsCommand } from "./bpf-drops.ts";
import { bpfIpcacheCommand } from "./bpf-ipcache.ts";
import { bpfPolicyCommand } from "./bpf-policy.ts";
import { bpfServicesCommand } from "./bpf-services.ts";
import type { Command } from "./command.ts";
import { connectCommand } from "./connect.ts";
import { contextListCommand } from "./context-list.ts";
import { disconnectCommand } from "./disconnect.ts";
import { drillCompareCommand } from "./drill-compare.ts";
import { drillListCommand } from "./drill-list.ts";
import { drillPlanCommand } from "./drill-plan.ts";
import { drillRunCommand } from "./drill-run.ts";
import { drillShowCommand } from "./drill-show.ts";
import { drillStopCommand } from "./drill-stop.ts";
import { drillSuggestCommand } from "./drill-suggest.ts";
import { endpointGetCommand } from "./endpoint-get.ts";
import { endpointListCommand } from "./endpoint-list.ts";
import { eventsCommand } from "./events.ts";
import { drainCommand } from "./drain.ts";
import { drainListCommand } from "./drain-list.ts";
import { factsCommand } from "./facts.ts";
import { healthCommand } from "./health.ts";
import { identityGetCommand } from "./identity-get.ts";
import { identityListCommand } from "./identity-list.ts";
import { inNodePod } from "./in-node-pod.ts";
import { installCommand } from "./install.ts";
import { inviteCommand } from "./invite.ts";
import { joinCommand } from "./join.ts";
import { labCut, labHeal } from "./lab-cut.ts";
import { labDown } from "./lab-down.ts";
import { labExec } from "./lab-exec.ts";
import { labKubectl } from "./lab-kubectl.ts";
import { labPodAdd, labPodDelete } from "./lab-pod.ts";
import { labStatus } from "./lab-status.ts";
import { labUp } from "./lab-up.ts";
import { nodeStatusCommand } from "./node-status.ts";
import { observeCommand } from "./observe.ts";
import { policyExplainCommand } from "./policy-explain.ts";
import { policyGetCommand } from "./policy-get.ts";
import { policyListCommand } from "./policy-list.ts";
import { policyTraceCommand } from "./policy-trace.ts";
import { probeCommand } from "./probe.ts";
import { serviceGetCommand } from "./service-get.ts";
import { serviceListCommand } from "./service-list.ts";
import { statusCommand } from "./status.ts";
import { undrainCommand } from "./undrain.ts";
import { uninstallCommand } from "./uninstall.ts";
import { upgradeCommand } from "./upgrade.ts";

export const COMMANDS: readonly Command[] = [
  installCommand,
  upgradeCommand,
  uninstallCommand,
  connectCommand,
  disconnectCommand,
  inviteCommand,
  joinCommand,
  drainCommand,
  drainListCommand,
  undrainCommand,
  statusCommand,
  eventsCommand,
  drillPlanCommand,
  drillRunCommand,
  drillStopCommand,
  drillListCommand,
  drillShowCommand,
  drillCompareCommand,
  drillSuggestCommand,
  contextListCommand,
  factsCommand,
  probeCommand,
  bridgeCommand,
  labUp,
  labStatus,
  labExec,
  labKubectl,
  labPodAdd,
  labPodDelete,
  labCut,
  labHeal,
  labDown,
  inNodePod(nodeStatusCommand),
  inNodePod(healthCommand),
  inNodePod(serviceListCommand),
  inNodePod(serviceGetCommand),
  inNodePod(policyListCommand),
  inNodePod(policyGetCommand),
  inNodePod(policyExplainCommand),
  inNodePod(policyTraceCommand),
  inNodePod(endpointListCommand),
  inNodePod(endpointGetCommand),
  inNodePod(identityListCommand),
  inNodePod(identityGetCommand),
  inNodePod(observeCommand),
  inNodePod(bpfServicesCommand),
  inNodePod(bpfIpcacheCommand),
  inNodePod(bpfClustersCommand),
  inNodePod(bpfPolicyCommand),
  inNodePod(bpfCtCommand),
  inNodePod(bpfDropsCommand),
];
