// An agent's part that holds a drill's faults, and nothing else of an agent: it injects, renews for
// as long as it lives, and says so once. Its arguments are the BPF root, the overlay device and an
// injection as JSON; with "tidy" instead it takes away what is over and ends.
import { createInjector, type InjectRequest } from "../../agent/drill/injector.ts";
import { createSlowWay } from "../../agent/drill/slow-way.ts";
import { openDatapathMaps } from "../../bpf/datapath.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";

const RENEW_MS = 200;

const [bpfRoot = "", device = "", order = ""] = process.argv.slice(2);
const { signal } = new AbortController();
using maps = openDatapathMaps(bpfRoot);
const injector = createInjector({
  faults: maps.faults,
  clusterId: (name) => (name === "b" ? 2 : undefined),
  slowWay: createSlowWay(device),
  kernelNowNs: () => process.hrtime.bigint(),
  clock: systemClock,
  log: silentLogger,
});
if (order === "tidy") {
  await injector.tidy(signal);
} else {
  const request = JSON.parse(order) as InjectRequest;
  for (let renewals = 0; ; renewals++) {
    await injector.inject(request, signal);
    if (renewals === 0) process.stdout.write("injected\n");
    await systemClock.sleep(RENEW_MS, signal);
  }
}
