// How an apiserver dies for a drill: by SIGKILL, with nothing tidied up, after it has left a
// process behind that brings it back.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const SUCCESSOR = fileURLToPath(new URL("./main.ts", import.meta.url));

export interface DieOptions {
  /** The apiserver's own; whoever answers there makes a successor unnecessary. */
  readonly socketPath: string;
  /** What this process was started with. */
  readonly argv: readonly string[];
  readonly execArgv: readonly string[];
  readonly kill: () => void;
}

export function dieFor(ttlMs: number, { socketPath, argv, execArgv, kill }: DieOptions): void {
  const [program = process.execPath, ...words] = argv;
  const waiting = [...execArgv, SUCCESSOR, String(Math.ceil(ttlMs)), socketPath];
  const again = [program, ...execArgv, ...words];
  // Its own session: a signal to our process group must not end it. Our output is its output.
  spawn(program, [...waiting, ...again], { stdio: "inherit", detached: true }).unref();
  kill();
}
