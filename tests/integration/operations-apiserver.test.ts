// The operations plane of a real apiserver: nats-server as its child, killed and adopted; `mesh
// events` on its stream; and nats-server kept by the program that runs beside an apiserver.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { writeContext } from "../../mesh/contexts/contexts.ts";
import { createTestApiserver, smallCluster, type TestApiserver } from "../fakes/apiserver.ts";
import { freePorts } from "../fakes/etcd.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTestNats } from "../fakes/nats.ts";

const MESH = fileURLToPath(new URL("../../mesh/main.ts", import.meta.url));
const BESIDE = fileURLToPath(new URL("../../apiserver/nats/main.ts", import.meta.url));
let east: TestApiserver;
let home: string;

const mesh = async (...words: string[]): Promise<string> => {
  const argv = ["--disable-warning=ExperimentalWarning", MESH, ...words];
  const env = { ...process.env, TOMBOLO_HOME: home };
  return (await promisify(execFile)(process.execPath, argv, { env })).stdout;
};

beforeAll(async () => {
  const [listen = 0, leaf = 0, monitor = 0] = await freePorts(3);
  home = await mkdtemp(join(tmpdir(), "tombolo-nats-home-"));
  const operations = {
    listen: `127.0.0.1:${listen}`,
    leafListen: `127.0.0.1:${leaf}`,
    monitorListen: `127.0.0.1:${monitor}`,
  };
  east = await createTestApiserver({ name: "east", id: 1, operations });
  await writeContext(home, {
    name: "east",
    directory: east.directory,
    networkNamespace: undefined,
  });
  east.start();
  await east.ready();
});

afterAll(async () => {
  await east.close();
  await rm(home, { recursive: true, force: true });
});

const operations = async () => (await east.status()).operations;
const streams = () =>
  eventually(async () => {
    const found = await operations();
    expect(found?.streams.map(({ name }) => name).sort()).toEqual(["DRILLS", "EVENTS"]);
    expect(found).toMatchObject({ connected: true, problem: "" });
    return found;
  });

describe("an apiserver with an operations plane", () => {
  test("has nats-server, its streams and a connection, and says so", async () => {
    expect(await streams()).toMatchObject({ server: "running", links: [], dropped: 0 });
    expect(await mesh("events")).toBe("");
    expect(await mesh("status", "--context", "east")).toMatch(/east +running +0 +0/);
  });

  test("says that nobody can tell it what is configured, where no agent runs", async () => {
    await streams();
    await east.manifest("small.yaml", smallCluster(1));
    await eventually(async () =>
      (await mesh("status")).includes(
        "! east: what was drilled is not known: Cannot see the services: no agent answers\n",
      ),
    );
  });

  test("starts nats-server again when it is killed, and stays ready", async () => {
    const pid = (await streams()).pid;
    process.kill(pid, "SIGKILL");
    await eventually(async () => ((await operations())?.restarts ?? 0) > 0);
    expect((await east.status()).ready).toBe(true);
    expect((await streams()).pid).not.toBe(pid);
  });

  test("adopts the nats-server of a killed apiserver", async () => {
    const { pid } = await streams();
    await east.kill("SIGKILL");
    east.start();
    await east.ready();
    await eventually(
      async () => expect(await streams()).toMatchObject({ server: "adopted", pid }) ?? true,
    );
  });
});

describe("apiserver/nats/main.ts", () => {
  test("keeps nats-server on a directory until it is told to end", async () => {
    const nats = await startTestNats("west");
    const argv = ["--disable-warning=ExperimentalWarning", BESIDE, "--directory", nats.directory];
    const beside = spawn(process.execPath, argv, { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    beside.stderr.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    // It finds the one that runs there already, as it finds one after a crash of its own.
    await eventually(() => said.includes("nats-server is adopted"));
    beside.kill("SIGTERM");
    expect(await once(beside, "exit")).toEqual([0, null]);
    await nats.close();
  });
});
