// Every command, in the order in which `mesh --help` shows them.
import type { Command } from "./command.ts";

export const COMMANDS: readonly Command[] = [];
