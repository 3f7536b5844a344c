// Every command, in the order in which `mesh --help` shows them.
import type { Command } from "./command.ts";
import { labDown } from "./lab-down.ts";
import { labExec } from "./lab-exec.ts";
import { labPodAdd, labPodDelete } from "./lab-pod.ts";
import { labStatus } from "./lab-status.ts";
import { labUp } from "./lab-up.ts";

export const COMMANDS: readonly Command[] = [
  labUp,
  labStatus,
  labExec,
  labPodAdd,
  labPodDelete,
  labDown,
];
