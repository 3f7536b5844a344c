// What `npm start` runs once everything is installed and built: the tour, then where to go from
// there. Leaves the lab running.
import { fileURLToPath } from "node:url";
import { runCommand } from "../mesh/core/child-process.ts";
import { systemClock } from "../mesh/core/clock.ts";
import { isMeshError } from "../mesh/core/errors.ts";
import { printError, styled, type Output } from "../mesh/terminal.ts";
import { nodeArgv } from "./lab/daemons.ts";
import { createTimeline } from "./tour/timeline.ts";
import { runTour } from "./tour/tour.ts";

const LAB_NAME = "lab";
const MESH_MAIN = fileURLToPath(new URL("../mesh/main.ts", import.meta.url));

const { stdout, stderr } = process;
const output = outputFromStream(stdout);
const abort = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => abort.abort(name));

try {
  const timeline = createTimeline(output, systemClock);
  const { whole, page } = await runTour({
    home: process.env["TOMBOLO_HOME"] ?? "/var/lib/tombolo",
    labName: LAB_NAME,
    mesh: (words, onStderr = () => undefined) => {
      const [program = process.execPath, ...args] = nodeArgv(MESH_MAIN, words);
      return runCommand({ argv: [program, ...args], onStderr }, abort.signal);
    },
    timeline,
    clock: systemClock,
    signal: abort.signal,
  });
  output.write(nextSteps(timeline.elapsedSeconds(), page));
  process.exitCode = whole ? 0 : 1;
} catch (error) {
  if (abort.signal.aborted && isMeshError(error, "aborted")) {
    output.write("\nStopped. The lab stays as it is: `npm start` goes on, and\n");
    output.write("  mesh/bin/mesh lab down      removes all of it\n");
    process.exitCode = 130;
  } else {
    printError(outputFromStream(stderr), error);
    stderr.write("The lab stays as it is: `mesh/bin/mesh lab down` removes all of it.\n");
    process.exitCode = 1;
  }
}

function outputFromStream(stream: NodeJS.WriteStream): Output {
  return {
    write: (text) => {
      stream.write(text);
    },
    colour: stream.isTTY && process.env["NO_COLOR"] === undefined,
  };
}

function nextSteps(seconds: number, page: string): string {
  const commands = [
    ["mesh/bin/mesh lab status", "what runs, and where its logs are"],
    ["mesh/bin/mesh status", "how the clusters see each other"],
    ["mesh/bin/mesh service list --node east-node1", "services and their backends by cluster"],
    ["mesh/bin/mesh bpf services --node east-node1", "the same as the kernel has it"],
    ["mesh/bin/mesh health --node east-node1", "whom the node hears, and what it concludes"],
    ["mesh/bin/mesh events --context east", "what happened, as clusters and nodes tell it"],
    ["mesh/bin/mesh drill show latest", "the drill again"],
    ["mesh/bin/mesh lab exec east/shop/client -- sh", "a shell in the client pod"],
    ["mesh/bin/mesh lab down", "remove everything"],
  ];
  const width = Math.max(...commands.map(([command = ""]) => command.length));
  const lines = commands.map(([command = "", what]) => `  ${command.padEnd(width)}   ${what}`);
  const title = styled(
    output,
    "bold",
    `The lab stays up (all of this took ${seconds.toFixed(0)} s). Try:`,
  );
  return `\n${title}\n${lines.join("\n")}\nThe drill's report as a page: ${page}\n`;
}
