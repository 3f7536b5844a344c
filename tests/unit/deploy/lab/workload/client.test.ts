import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runCommand } from "../../../../../mesh/core/child-process.ts";
import { eventually } from "../../../../fakes/eventually.ts";

const WORKLOAD = fileURLToPath(new URL("../../../../../deploy/lab/workload/", import.meta.url));
const NODE = process.execPath;
const LIMIT_MS = 60_000;
const never = new AbortController().signal;
let echo: ChildProcess;
let port: number;
let directory: string;

async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "::", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}

async function ask(targets: readonly string[], more: readonly string[] = []): Promise<unknown[]> {
  const words = targets.flatMap((target) => ["--target", target]);
  const argv = [NODE, join(WORKLOAD, "client.ts"), ...words, ...more] as const;
  const { stdout } = await runCommand({ argv: [argv[0], ...argv.slice(1)] }, never);
  return stdout
    .split("\n")
    .filter(Boolean)
    .map((line): unknown => JSON.parse(line));
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "tombolo-echo-"));
  port = await findFreePort();
  const ready = join(directory, "ready");
  const words = ["--name", "east/cart-1", "--port", String(port), "--ready-file", ready];
  echo = spawn(NODE, [join(WORKLOAD, "echo.ts"), ...words], { stdio: "ignore" });
  await eventually(() => existsSync(ready), { limitMs: LIMIT_MS });
}, LIMIT_MS);

afterAll(async () => {
  const ended = new Promise((resolve) => echo.once("exit", resolve));
  echo.kill("SIGTERM");
  await ended;
  rmSync(directory, { recursive: true });
});

describe("client and echo", () => {
  test(
    "speak TCP and UDP over IPv4 and IPv6, a record for each request",
    async () => {
      const targets = ["tcp", "udp"].flatMap((protocol) =>
        ["127.0.0.1", "[::1]"].map((host) => `${protocol}:${host}:${port}`),
      );
      const records = await ask(targets, ["--count", "8", "--interval-ms", "5"]);
      expect(records).toHaveLength(8);
      for (const target of targets) {
        expect(records).toContainEqual(
          expect.objectContaining({ target, answer: "east/cart-1", ms: expect.any(Number) }),
        );
      }
    },
    LIMIT_MS,
  );

  test(
    "record a refusal as an error",
    async () => {
      const free = await findFreePort();
      const targets = [`tcp:127.0.0.1:${free}`, `udp:127.0.0.1:${free}`];
      const records = await ask(targets, ["--count", "2"]);
      expect(records).toHaveLength(2);
      for (const record of records) {
        expect(record).toEqual(
          expect.objectContaining({ error: expect.stringContaining("ECONNREFUSED") }),
        );
      }
    },
    LIMIT_MS,
  );
});
