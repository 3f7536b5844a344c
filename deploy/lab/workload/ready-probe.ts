// Asks an HTTP address until it answers 200 or a limit has passed. The lab runs it inside the
// namespace of a daemon whose health address is the loopback there.
//
//   node ready-probe.ts URL LIMIT_MS
import { get } from "node:http";
import { systemClock } from "../../../mesh/core/clock.ts";

const RETRY_MS = 50;
const REQUEST_LIMIT_MS = 2_000;
/** Who is not ready says why, a reason a line. */
const REASONS_LIMIT = 500;

const [url = "", limitText = ""] = process.argv.slice(2);
const deadlineMs = systemClock.monotonicMs() + Number(limitText);
let last = "no answer";

async function ask(): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(url, { timeout: REQUEST_LIMIT_MS }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => (text = (text + part).slice(0, REASONS_LIMIT)));
      // Not "end": an answer that breaks off has none.
      response.on("close", () => {
        const reasons = text.trim().replaceAll("\n", "; ");
        last = `HTTP status ${response.statusCode}${reasons === "" ? "" : `: ${reasons}`}`;
        resolve(response.statusCode === 200);
      });
    });
    request.on("timeout", () => request.destroy(new Error("the answer took too long")));
    request.on("error", (error) => {
      last = error.message;
      resolve(false);
    });
  });
}

while (!(await ask())) {
  if (systemClock.monotonicMs() > deadlineMs) {
    process.stderr.write(`${url}: ${last}\n`);
    process.exit(1);
  }
  await systemClock.sleep(RETRY_MS, new AbortController().signal);
}
