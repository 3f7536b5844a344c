import { describe, expect, test } from "@jest/globals";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { runCommand } from "../../../../../mesh/core/child-process.ts";

const PROBE = fileURLToPath(
  new URL("../../../../../deploy/lab/workload/ready-probe.ts", import.meta.url),
);
const LIMIT_MS = 60_000;
const never = new AbortController().signal;

describe("ready-probe", () => {
  test(
    "asks until the answer is 200, over one that breaks off, and says the last when it gives up",
    async () => {
      let asked = 0;
      const server = createServer((request, response) => {
        asked += 1;
        response.statusCode = request.url === "/later" && asked >= 3 ? 200 : 503;
        if (asked === 1) {
          response.write("Noth", () => response.destroy());
          return;
        }
        response.end("Nothing is synced\nNobody is there\n");
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      try {
        const later = [process.execPath, PROBE, `${base}/later`, String(LIMIT_MS)] as const;
        expect(await runCommand({ argv: later }, never)).toMatchObject({ status: 0 });
        const late = [process.execPath, PROBE, `${base}/never`, "100"] as const;
        const { status, stderr } = await runCommand({ argv: late }, never);
        expect(status).toBe(1);
        expect(stderr).toContain("/never: HTTP status 503: Nothing is synced; Nobody is there");
      } finally {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
    LIMIT_MS,
  );
});
