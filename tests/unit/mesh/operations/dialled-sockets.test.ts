// What an attempt to connect has opened is closed when it fails; a server that says nothing is the
// case that the library of NATS forgets.
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { dialWhole } from "../../../../mesh/operations/dialled-sockets.ts";
import { dialNats } from "../../../../mesh/operations/nats-dial.ts";
import { eventually } from "../../../fakes/eventually.ts";

const never = new AbortController().signal;
let silent: Server;
let open: Set<Socket>;
let port = 0;

beforeEach(async () => {
  open = new Set();
  silent = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => {}); // Its end is all that counts.
    socket.resume();
  });
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  port = (silent.address() as AddressInfo).port;
});

afterEach(async () => {
  for (const socket of open) socket.destroy();
  silent.close();
  await once(silent, "close");
});

async function openSocket(): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

describe("dialWhole()", () => {
  test("leaves open what succeeds", async () => {
    const socket = await dialWhole({ dial: openSocket, close: () => {} }, never);
    expect(socket.destroyed).toBe(false);
    socket.destroy();
  });

  test("closes what fails, and nothing of others", async () => {
    const other = await openSocket();
    const dial = async (): Promise<never> => {
      await openSocket();
      throw new Error("no");
    };
    await expect(dialWhole({ dial, close: () => {} }, never)).rejects.toThrow("no");
    await eventually(() => open.size === 1, { what: "the attempt's socket is closed" });
    expect(other.destroyed).toBe(false);
    other.destroy();
  });

  test("closes what comes after the signal has aborted", async () => {
    const end = new AbortController();
    const late = Promise.withResolvers<Socket>();
    const closed: Socket[] = [];
    const dialling = dialWhole(
      { dial: () => late.promise, close: (socket) => closed.push(socket) },
      end.signal,
    );
    end.abort();
    await expect(dialling).rejects.toMatchObject({ code: "aborted" });
    const socket = await openSocket();
    late.resolve(socket);
    await eventually(() => closed.length === 1, { what: "the late one is closed" });
    socket.destroy();
  });
});

describe("dialNats()", () => {
  test("leaves no socket behind at a server that says nothing", async () => {
    const end = new AbortController();
    const place = { servers: () => [`127.0.0.1:${port}`], tls: undefined, serverName: undefined };
    const dialling = dialNats(place, { name: "test", clock: systemClock }, end.signal);
    await eventually(() => open.size === 1, { what: "it is connected" });
    end.abort();
    await expect(dialling).rejects.toMatchObject({ code: "aborted" });
    await eventually(() => open.size === 0, { what: "its socket is closed" });
  });
});
