// A command that starts itself again inside a network namespace: output, status and signals pass.
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { fileURLToPath } from "node:url";
import { writeContext } from "../../mesh/contexts/contexts.ts";
import { createTestCluster, type TestCluster } from "../fakes/cluster.ts";

const run = promisify(execFile);
const NAMESPACE = `tombolo-cn-${process.pid}`;
const MESH = fileURLToPath(new URL("../../mesh/bin/mesh", import.meta.url));
let home = "";
let clusters: TestCluster[] = [];

beforeAll(async () => {
  await run("ip", ["netns", "add", NAMESPACE]);
  home = await mkdtemp(join(tmpdir(), "tombolo-cn-home-"));
  clusters = await Promise.all(
    ["east", "west"].map((name, index) => createTestCluster({ name, id: index + 1 })),
  );
  for (const { name, directory } of clusters) {
    const networkNamespace = `/run/netns/${NAMESPACE}`;
    await writeContext(home, { name, directory, networkNamespace });
  }
}, 60_000);

afterAll(async () => {
  await run("ip", ["netns", "del", NAMESPACE]);
  await rm(home, { recursive: true, force: true });
  for (const cluster of clusters) await cluster.close();
});

test("mesh connect runs inside the namespace that its contexts name", async () => {
  const env = { ...process.env, TOMBOLO_HOME: home };
  const attempt = run(MESH, ["connect", "east", "west", "--output", "json"], { env });
  const failure = (await attempt.catch((error: unknown) => error)) as {
    code: number;
    stdout: string;
    stderr: string;
  };
  expect(failure.code).toBe(1);
  // In the new namespace even loopback is down, which is another failure than a closed port.
  expect(JSON.parse(failure.stdout)).toMatchObject({
    outcome: "refused",
    findings: expect.arrayContaining([
      expect.objectContaining({ message: expect.stringContaining("ENETUNREACH") }),
    ]),
  });
  expect(failure.stderr).toMatch(/^error: /m);
}, 60_000);
