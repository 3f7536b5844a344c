// The `mesh` command line: finds the command, gives it its context, turns errors into sentences
// and exit statuses. The only file of mesh/ that touches `process`.
import { systemRandom } from "./core/backoff.ts";
import { systemClock } from "./core/clock.ts";
import { isMeshError } from "./core/errors.ts";
import { createJsonLogger } from "./core/logger.ts";
import { dispatch } from "./commands/dispatch.ts";
import { COMMANDS } from "./commands/registry.ts";
import { kubeconfigPaths } from "./kubernetes/kubeconfig-contexts.ts";
import { printError, type Output } from "./terminal.ts";

function outputFromStream(stream: NodeJS.WriteStream): Output {
  return {
    write: (text) => {
      stream.write(text);
    },
    colour: stream.isTTY && process.env["NO_COLOR"] === undefined,
  };
}

const stdout = outputFromStream(process.stdout);
const stderr = outputFromStream(process.stderr);
const abort = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => abort.abort(name));
// `mesh … | head` closes the pipe early; that is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
});

try {
  const argv = process.argv.slice(2);
  process.exitCode = await dispatch(COMMANDS, argv, {
    stdout,
    stderr,
    clock: systemClock,
    random: systemRandom,
    log: createJsonLogger({
      write: stderr.write,
      nowMs: systemClock.nowMs,
      level: process.env["TOMBOLO_DEBUG"] === undefined ? "warn" : "debug",
    }),
    home: process.env["TOMBOLO_HOME"] ?? "/var/lib/tombolo",
    kubeconfigs: kubeconfigPaths(process.env),
    kubernetesAssets: process.env["KUBEBUILDER_ASSETS"],
    streams: () => ({ input: process.stdin, output: process.stdout }),
    argv,
    signal: abort.signal,
  });
} catch (error) {
  if (abort.signal.aborted && isMeshError(error, "aborted")) {
    process.exitCode = 130;
  } else {
    printError(stderr, error);
    process.exitCode = isMeshError(error, "invalid_argument") ? 2 : 1;
  }
}
