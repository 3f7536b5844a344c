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
  type StreamHandlers,
  type UnaryHandlers,
} from "../../../../mesh/api/grpc.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";

const PROTO = `syntax = "proto3"; package demo;
service Demo { rpc Echo(Text) returns (Text); rpc Count(Text) returns (stream Text); }
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

async function connect(handlers: UnaryHandlers, streams: StreamHandlers = {}): Promise<GrpcClient> {
  const definition = loadServiceDefinition(join(directory, "demo.proto"), "demo.Demo");
  const listen = `unix:${join(directory, "demo.sock")}`;
  const credentials = localServerCredentials();
  open.push(await createGrpcServer({ definition, handlers, streams, listen, credentials }));
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

describe("stream()", () => {
  const never = new AbortController().signal;
  const texts = async (client: GrpcClient, signal = never): Promise<string[]> => {
    const found: string[] = [];
    for await (const { text } of client.stream<Text>("Count", { text: "" }, signal)) {
      found.push(text);
    }
    return found;
  };

  test("carries more than fits at once, and ends", async () => {
    const long = "x".repeat(10_000);
    const client = await connect(
      {},
      {
        async *count(): AsyncIterable<Text> {
          for (let i = 0; i < 200; i++) yield { text: `${i} ${long}` };
        },
      },
    );
    const found = await texts(client);
    expect(found.map((text) => text.split(" ")[0])).toEqual(
      Array.from({ length: 200 }, (_, i) => String(i)),
    );
  });

  test("throws the server's MeshError after what came before it", async () => {
    const client = await connect(
      {},
      {
        async *count(): AsyncIterable<Text> {
          yield { text: "one" };
          throw new MeshError("not_found", "Cannot count on: no more numbers", { hint: "rest" });
        },
      },
    );
    const found: string[] = [];
    const reading = (async () => {
      for await (const { text } of client.stream<Text>("Count", { text: "" }, never)) {
        found.push(text);
      }
    })();
    await expect(reading).rejects.toMatchObject({
      code: "not_found",
      message: "Cannot count on: no more numbers",
      hint: "rest",
    });
    expect(found).toEqual(["one"]);
  });

  test("tells the server that the caller hung up, by its signal or by reading no further", async () => {
    for (const way of ["signal", "break"]) {
      const server = Promise.withResolvers<void>();
      const client = await connect(
        {},
        {
          async *count(_request, { signal }): AsyncIterable<Text> {
            signal.addEventListener("abort", () => server.resolve());
            yield { text: "one" };
            await server.promise;
          },
        },
      );
      const caller = new AbortController();
      const reading = (async () => {
        for await (const _ of client.stream<Text>("Count", { text: "" }, caller.signal)) {
          if (way === "break") break;
          caller.abort();
        }
      })();
      if (way === "signal") await expect(reading).rejects.toMatchObject({ code: "aborted" });
      else await reading;
      await server.promise;
      for (const closable of open.splice(0).reverse()) closable.close();
    }
  });
});
