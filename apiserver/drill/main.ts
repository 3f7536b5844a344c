// What an apiserver leaves behind that a drill kills: it waits until the drill's deadline and
// starts the apiserver again with the same words, unless somebody else has. Where a container's
// runtime or systemd restarts the apiserver, this process ends with it and it is they who do.
//
//   apiserver/drill/main.ts MILLISECONDS SOCKET PROGRAM ARGUMENT...
import { spawn } from "node:child_process";
import { createApiserverStatusReader } from "../../mesh/api/apiserver-client.ts";
import { systemClock } from "../../mesh/core/clock.ts";

const never = new AbortController().signal;
const [waitText = "", socketPath = "", program = "", ...args] = process.argv.slice(2);

await systemClock.sleep(Number(waitText), never);
const reader = createApiserverStatusReader({ socketPath, clock: systemClock });
const isBack = await reader.readStatus(never).then(
  () => true,
  () => false, // Nobody answers: it is ours to do.
);
if (!isBack) spawn(program, args, { stdio: "inherit", detached: true }).unref();
process.exit();
