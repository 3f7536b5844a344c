// nats-server in a container of its own: kept running on the directory that an apiserver beside it
// writes. It needs nothing of the cluster but that directory, and no right on anything else.
//
//   apiserver/nats/main.ts --directory DIRECTORY
import { parseArgs } from "node:util";
import { systemRandom } from "../../mesh/core/backoff.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { isMeshError, MeshError } from "../../mesh/core/errors.ts";
import { createJsonLogger } from "../../mesh/core/logger.ts";
import { printError } from "../../mesh/terminal.ts";
import { createNatsServer } from "./server.ts";

async function main(signal: AbortSignal): Promise<void> {
  const { values } = parseArgs({ options: { directory: { type: "string" } } });
  const { directory } = values;
  if (directory === undefined) {
    throw new MeshError("invalid_argument", "Cannot keep nats-server running: want --directory D");
  }
  const log = createJsonLogger({
    write: (line) => process.stderr.write(line),
    nowMs: systemClock.nowMs,
  });
  const seams = { clock: systemClock, random: systemRandom, log };
  await createNatsServer({ ...seams, directory, keepRunning: false }).run(signal);
}

const abort = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => abort.abort(name));

try {
  await main(abort.signal);
} catch (error) {
  // Who is told to end while something is waited for has not failed.
  if (!isMeshError(error, "aborted") || !abort.signal.aborted) {
    printError({ write: (text) => process.stderr.write(text), colour: false }, error);
    process.exitCode = 1;
  }
}
process.exit();
