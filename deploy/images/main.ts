// What `npm run image` does: builds the images, or stages the build context for another builder.
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { systemClock } from "../../mesh/core/clock.ts";
import { isMeshError } from "../../mesh/core/errors.ts";
import { printError } from "../../mesh/terminal.ts";
import { ensureImage, ensureLabImage, writeContext, type ImageSeams } from "./build.ts";

const USAGE = `Usage: npm run image [-- --lab | --context DIRECTORY]

Builds Tombolo's image into build/images and prints its name and its archive, which
\`ctr -n k8s.io images import\`, \`docker load\` and \`podman load\` read.

  --lab                 the lab's small image instead
  --context DIRECTORY   write the build context instead, for a builder of your own:
                        \`docker build DIRECTORY\`
  --help                this text
`;

const abort = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => abort.abort(name));

const startMs = systemClock.monotonicMs();
const seams: ImageSeams = {
  say: (line) => {
    const seconds = ((systemClock.monotonicMs() - startMs) / 1_000).toFixed(1);
    process.stderr.write(`${seconds.padStart(6)} s  ${line}\n`);
  },
  clock: systemClock,
};

try {
  const { values } = parseArgs({
    options: {
      lab: { type: "boolean" },
      context: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
  } else if (values.context !== undefined) {
    await writeContext(resolve(values.context), seams, abort.signal);
  } else {
    const ensure = values.lab === true ? ensureLabImage : ensureImage;
    const { name, archive } = await ensure(seams, abort.signal);
    process.stdout.write(`${name}\n${archive}\n`);
  }
} catch (error) {
  const stopped = abort.signal.aborted && isMeshError(error, "aborted");
  if (!stopped) {
    printError({ write: (text) => process.stderr.write(text), colour: false }, error);
  }
  process.exitCode = stopped ? 130 : 1;
}
