// NATS against the contract of operations planes: a real server with TLS, behind a proxy.
import { afterAll, beforeAll } from "@jest/globals";
import { STREAMS } from "../../mesh/operations/streams.ts";
import { startTestNats, type TestNats } from "../fakes/nats.ts";
import { startTcpProxy } from "../fakes/proxy.ts";
import { describeOperations } from "./operations.ts";

let nats: TestNats;

beforeAll(async () => {
  nats = await startTestNats("east");
});

afterAll(() => nats.close());

describeOperations("createNatsConnection()", async () => {
  const proxy = await startTcpProxy({ targetPort: nats.port });
  return {
    open: () => nats.connection("admin", proxy.port),
    disconnect: () => proxy.refuse(),
    reconnect: () => proxy.pass(),
    async close() {
      await proxy.close();
      const client = await nats.client("admin");
      const { streams } = await client.jetstreamManager();
      for (const { name } of STREAMS) await streams.delete(name);
      await client.close();
    },
  };
});
