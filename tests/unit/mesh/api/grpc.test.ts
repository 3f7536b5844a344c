import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import {
  createGrpcClient,
  createGrpcServer,
  loadServiceDefinition,
  localChannelCredentials,
  localServerCredentials,
  type GrpcClient,
  type GrpcServer,
  type UnaryHandlers,
} from "../../../../mesh/api/grpc.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";

const PROTO = `syntax = "proto3"; package demo;
service Demo { rpc Echo(Text) returns (Text); }
message Text { string text = 1; uint64 big = 2; }`;

interface Text {
  readonly text: string;
  readonly big?: string;
}

let directory: string;
const open: (GrpcServer | GrpcClient)[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "apiserver-grpc-"));
  await writeFile(join(directory, "demo.proto"), PROTO);
});

afterEach(async () => {
  for (const closable of open.splice(0).reverse()) closable.close();
  await rm(directory, { recursive: true });
});

async function connect(handlers: UnaryHandlers): Promise<GrpcClient> {
  const definition = loadServiceDefinition(join(directory, "demo.proto"), "demo.Demo");
  const listen = `unix:${join(directory, "demo.sock")}`;
  open.push(
    await createGrpcServer({ definition, handlers, listen, credentials: localServerCredentials() }),
  );
  const client = createGrpcClient({
    definition,
    target: listen,
    credentials: localChannelCredentials(),
    clock: systemClock,
  });
  open.push(client);
  return client;
}

function options(signal = new AbortController().signal) {
  return { timeoutMs: 20_000, signal };
}

describe("createGrpcClient", () => {
  test("call() carries the answer, 64-bit numbers as text", async () => {
    const client = await connect({
      echo: async (request: Text): Promise<Text> => ({
        text: request.text,
        big: "18446744073709551615",
      }),
    });
    await expect(client.call("Echo", { text: "hé" }, options())).resolves.toEqual({
      text: "hé",
      big: "18446744073709551615",
    });
  });

  test("call() rejects with the server's MeshError, hint included", async () => {
    const client = await connect({
      echo: async () => {
        throw new MeshError("conflict", "Cannot echo text: it is taken", {
          hint: "take another — ok",
        });
      },
    });
    await expect(client.call("Echo", {}, options())).rejects.toMatchObject({
      code: "conflict",
      message: "Cannot echo text: it is taken",
      hint: "take another — ok",
    });
  });

  test("call() tells nothing about an error that is not a MeshError", async () => {
    const client = await connect({
      echo: async () => {
        throw new Error("secret");
      },
    });
    await expect(client.call("Echo", {}, options())).rejects.toMatchObject({
      code: "internal",
      message: "Cannot answer: internal error",
    });
  });

  test("call() rejects with aborted when its signal is, and the handler learns it", async () => {
    const abort = new AbortController();
    let hungUp: Promise<void> | undefined;
    const client = await connect({
      echo: async (_request: Text, context) => {
        hungUp = new Promise((resolve) =>
          context.signal.addEventListener("abort", () => resolve()),
        );
        abort.abort();
        await hungUp;
        return { text: "" };
      },
    });
    await expect(client.call("Echo", {}, options(abort.signal))).rejects.toMatchObject({
      code: "aborted",
    });
    await hungUp;
  });

  test("call() rejects with unavailable and the target when nobody listens", async () => {
    const definition = loadServiceDefinition(join(directory, "demo.proto"), "demo.Demo");
    const target = `unix:${join(directory, "nobody.sock")}`;
    const client = createGrpcClient({
      definition,
      target,
      credentials: localChannelCredentials(),
      clock: systemClock,
    });
    open.push(client);
    await expect(client.call("Echo", {}, options())).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining(target),
    });
  });
});

describe("loadServiceDefinition", () => {
  test("throws for a name that is no service", () => {
    expect(() => loadServiceDefinition(join(directory, "demo.proto"), "demo.Text")).toThrow(
      'Cannot find gRPC service "demo.Text"',
    );
  });
});
