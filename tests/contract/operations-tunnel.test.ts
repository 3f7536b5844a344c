// NATS through a tunnel against the contract of operations planes: a real server with TLS, and the
// program that runs beside it at the other end of a pair of streams.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { duplexPair, type Duplex } from "node:stream";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { bridgeNats } from "../../mesh/operations/nats-bridge.ts";
import { createNatsConnection } from "../../mesh/operations/nats-connection.ts";
import { openNatsTunnel } from "../../mesh/operations/nats-tunnel.ts";
import { STREAMS } from "../../mesh/operations/streams.ts";
import { meshServerName } from "../../pki/common-names.ts";
import { pkiPaths } from "../../pki/files.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTestNats, type TestNats } from "../fakes/nats.ts";
import { describeOperations } from "./operations.ts";

const never = new AbortController().signal;
let nats: TestNats;

beforeAll(async () => {
  nats = await startTestNats("east");
});

afterAll(() => nats.close());

/** A way to the server, which may be closed; every bridge has ended when `close` resolves. */
function bridges(server = `127.0.0.1:${nats.port}`) {
  const open = new Map<Duplex, Promise<unknown>>();
  let refused = false;
  const end = async (): Promise<void> => {
    for (const near of open.keys()) near.destroy();
    await Promise.all(open.values());
  };
  return {
    openBridge: async (signal: AbortSignal): Promise<Duplex> => {
      if (refused) throw new MeshError("unavailable", "Cannot run a command in pod: it is away");
      const [near, far] = duplexPair();
      const keys = pkiPaths(nats.pki);
      const tls = {
        caFile: keys.caBundle,
        certFile: keys.adminCertificate,
        keyFile: keys.adminKey,
      };
      const place = { server, tls, serverName: meshServerName("east") };
      far.on("error", () => {}); // Told by the bridge.
      near.once("close", () => far.destroy());
      const running = bridgeNats(place, { input: far, output: far, clock: systemClock }, never)
        .catch((error: Error) => near.destroy(error))
        .finally(() => far.destroy());
      open.set(near, running);
      signal.addEventListener("abort", () => near.destroy(), { once: true });
      return near;
    },
    count: () => open.size,
    async refuse() {
      refused = true;
      await end();
    },
    pass() {
      refused = false;
    },
    end,
  };
}

function openConnection(openBridge: ReturnType<typeof bridges>["openBridge"]) {
  return createNatsConnection({
    name: "operator",
    openBridge,
    place: 'the NATS of context "east"',
    clock: systemClock,
    random: Math.random,
    log: silentLogger,
  });
}

describeOperations("createNatsConnection() through a tunnel", async () => {
  const way = bridges();
  return {
    open: () => openConnection(way.openBridge),
    disconnect: () => way.refuse(),
    reconnect: async () => way.pass(),
    async close() {
      await way.end();
      const client = await nats.client("admin");
      const { streams } = await client.jetstreamManager();
      for (const { name } of STREAMS) await streams.delete(name);
      await client.close();
    },
  };
});

describe("openNatsTunnel()", () => {
  const limits = { what: "connect to NATS", clock: systemClock, signal: never };

  test("lets nobody in who does not know the token, and one client who does", async () => {
    const way = bridges();
    const tunnel = await openNatsTunnel(way.openBridge, limits);
    expect(tunnel.server).toMatch(/^127\.0\.0\.1:\d+$/);
    for (const words of ["CONNECT {}", `CONNECT {"auth_token":"${"0".repeat(64)}"}`, "PING"]) {
      const stranger = await greet(tunnel.server, words);
      expect(stranger.greeting).toMatch(/^INFO .*"tls_required":false/);
      expect(await stranger.answer).toBe("");
    }
    const guest = await greet(
      tunnel.server,
      `CONNECT {"auth_token":"${tunnel.token}","verbose":true}`,
    );
    await eventually(() => guest.heard().includes("+OK"));
    await expect(greet(tunnel.server, "CONNECT {}")).rejects.toThrow("ECONNREFUSED");
    tunnel.close();
    await guest.answer;
    await way.end();
  });

  test("says what the far end could not, and leaves nothing open", async () => {
    const nobody = bridges("127.0.0.1:1");
    await expect(openNatsTunnel(nobody.openBridge, limits)).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(/^Cannot connect to NATS at 127\.0\.0\.1:1: .*ECONNREFUSED/),
    });
    await nobody.end();
    const connection = openConnection(nobody.openBridge);
    const end = new AbortController();
    const running = connection.run(end.signal);
    await eventually(() => connection.status().lastError.includes("ECONNREFUSED"));
    end.abort();
    await running;
    await nobody.end();
  });

  test("ends with its caller's signal while the far end is silent", async () => {
    const silent = createServer((socket) => socket.on("error", () => {}));
    const sockets = new Set<Socket>();
    silent.on("connection", (socket: Socket) => sockets.add(socket));
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const way = bridges(`127.0.0.1:${port}`);
    const abort = new AbortController();
    const opening = openNatsTunnel(way.openBridge, { ...limits, signal: abort.signal });
    const refused = expect(opening).rejects.toMatchObject({ code: "aborted" });
    await eventually(() => sockets.size === 1);
    abort.abort();
    await refused;
    for (const socket of sockets) socket.destroy();
    await way.end();
    silent.close();
  });
});

/** Says one line, as a client does who has heard the server's. */
async function greet(server: string, words: string) {
  const socket = connect(Number(server.split(":")[1]), "127.0.0.1");
  let heard = "";
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  socket.on("data", (data: Buffer) => (heard += data.toString()));
  await eventually(() => heard.includes("\r\n"));
  const greeting = heard;
  socket.write(`${words}\r\n`);
  return {
    greeting,
    heard: () => heard,
    answer: closed.then(() => heard.slice(greeting.length)),
  };
}
