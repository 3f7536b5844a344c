import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  createGrpcServer,
  loadServiceDefinition,
  localServerCredentials,
  type GrpcServer,
} from "../../../../mesh/api/grpc.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { createApiserverStatusReader } from "../../../../mesh/api/apiserver-client.ts";

const signal = new AbortController().signal;
let directory = "";
let server: GrpcServer;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-cn-status-"));
  const schema = new URL("../../../../mesh/api/apiserver.proto", import.meta.url);
  server = await createGrpcServer({
    definition: loadServiceDefinition(fileURLToPath(schema), "tombolo.apiserver.v1.Apiserver"),
    handlers: {
      getStatus: () =>
        Promise.resolve({
          version: "0.1.0",
          ready: true,
          peers: [{ name: "west", state: "ready", synced: true, kinds: [{ kind: "nodes" }] }],
        }),
    },
    listen: `unix:${join(directory, "apiserver.sock")}`,
    credentials: localServerCredentials(),
  });
});

afterAll(async () => {
  server.close();
  await rm(directory, { recursive: true, force: true });
});

function reader(socket: string) {
  return createApiserverStatusReader({ socketPath: join(directory, socket), clock: systemClock });
}

describe("createApiserverStatusReader()", () => {
  test("reads the status with every field set", async () => {
    expect(await reader("apiserver.sock").readStatus(signal)).toMatchObject({
      version: "0.1.0",
      ready: true,
      reasons: [],
    });
    expect(await reader("apiserver.sock").readPeers(signal)).toMatchObject([
      {
        name: "west",
        state: "ready",
        reason: "",
        synced: true,
        reconnections: 0,
        kinds: [{ kind: "nodes", records: 0, rejected: 0, rejectedLatest: [] }],
      },
    ]);
  });

  test("says that no apiserver answers", async () => {
    await expect(reader("absent.sock").readPeers(signal)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/^Cannot ask the apiserver at ".*": it does not answer$/),
    });
  });
});
