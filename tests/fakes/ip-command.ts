// iproute2 without a kernel: remembers the lines it was given, and answers queries as told.
import type { IpCommand } from "../../agent/apply/ip-command.ts";
import { MeshError } from "../../mesh/core/errors.ts";

export interface ScriptedIp extends IpCommand {
  /** Every command line so far, those of batches one by one. */
  readonly lines: string[];
  /** Answers by the words of the query, joined; a missing one is `not_found`. */
  readonly answers: Map<string, readonly Record<string, unknown>[]>;
  /** Lines that match fail. */
  refuse: RegExp | undefined;
}

export function createScriptedIp(): ScriptedIp {
  const run = (line: string): void => {
    if (ip.refuse?.test(line) === true) throw new MeshError("unavailable", `Cannot run "${line}"`);
    ip.lines.push(line);
  };
  const ip: ScriptedIp = {
    lines: [],
    answers: new Map(),
    refuse: undefined,
    async run(args) {
      run(args.join(" "));
    },
    async query(args) {
      const answer = ip.answers.get(args.join(" "));
      if (answer === undefined) throw new MeshError("not_found", `Cannot find ${args.join(" ")}`);
      return answer;
    },
    async batch(lines) {
      for (const line of lines) run(line);
    },
  };
  return ip;
}
