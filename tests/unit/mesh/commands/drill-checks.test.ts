import { afterEach, describe, expect, test } from "@jest/globals";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { runDrillCheck } from "../../../../mesh/commands/drill-checks.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";

const limits = { timeoutMs: 5_000, clock: systemClock, signal: new AbortController().signal };
let server: Server | undefined;
afterEach(async () => {
  if (server === undefined) return;
  server.close();
  server.closeAllConnections();
  await once(server, "close");
  server = undefined;
});

async function serve(status: number): Promise<string> {
  server = createServer((_, response) => {
    response.writeHead(status, { connection: "close" });
    response.end("body");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

describe("runDrillCheck()", () => {
  test("a URL is well when it answers 2xx", async () => {
    const url = await serve(204);
    expect(await runDrillCheck({ kind: "http", url }, limits)).toBeUndefined();
  });

  test("otherwise the status is why not", async () => {
    const url = await serve(503);
    expect(await runDrillCheck({ kind: "http", url }, limits)).toBe("status 503");
  });

  test("a program is well when it ends with 0", async () => {
    expect(await runDrillCheck({ kind: "exec", argv: ["true"] }, limits)).toBeUndefined();
    const failed = await runDrillCheck({ kind: "exec", argv: ["false"] }, limits);
    expect(failed).toMatch(/^Command failed/);
    const missing = await runDrillCheck({ kind: "exec", argv: ["/no/such/program"] }, limits);
    expect(missing).toMatch(/ENOENT/);
  });

  test("a program that does not end in time is ended", async () => {
    const probe = { kind: "exec", argv: ["tail", "-f", "/dev/null"] } as const;
    const reason = await runDrillCheck(probe, { ...limits, timeoutMs: 100 });
    expect(reason).toBe("It: no answer in 100 ms");
  });
});
