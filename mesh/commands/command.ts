// What a `mesh` command is. One file a command exports one of these; registry.ts lists them.
import type { Readable, Writable } from "node:stream";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import type { Output } from "../terminal.ts";

export interface CommandContext {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: () => number;
  /** Where contexts and labs live: TOMBOLO_HOME, /var/lib/tombolo by default. */
  readonly home: string;
  /** The kubeconfig files that this machine's user has, in the order in which they count. */
  readonly kubeconfigs: readonly string[];
  /** KUBEBUILDER_ASSETS: a folder with the programs of Kubernetes, for a lab of Kubernetes. */
  readonly kubernetesAssets?: string | undefined;
  /** The program's own, for what is copied and not said; one command has use for them. */
  readonly streams?: () => { readonly input: Readable; readonly output: Writable };
  /** The words after `mesh`, for a command that must start itself again inside a namespace. */
  readonly argv: readonly string[];
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
}

export interface Command {
  /** The words that select it: "connect", "lab up". */
  readonly name: string;
  /** One line for `mesh --help`. */
  readonly summary: string;
  /** The whole of `mesh NAME --help`, with at least one example that works. */
  readonly usage: string;
  /** Returns the exit status; throws MeshError for an answer that is an error. */
  run(args: readonly string[], context: CommandContext): Promise<number>;
}
