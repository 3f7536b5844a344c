import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createSocket, type Socket as NodeSocket } from "node:dgram";
import { once } from "node:events";
import {
  AF_INET,
  AF_INET6,
  createMessageBatch,
  openSocket,
  SO_RCVBUF,
  SOCK_DGRAM,
  socketAddress,
  socketFromFd,
  SOL_SOCKET,
  type Socket,
} from "../../../bpf/socket.ts";
import { eventually } from "../../fakes/eventually.ts";

const UDP = { domain: AF_INET, type: SOCK_DGRAM, protocol: 0, name: "UDP" };

let server: NodeSocket;
let received: string[];
let socket: Socket;

beforeEach(async () => {
  server = createSocket("udp4");
  received = [];
  server.on("message", (message) => received.push(message.toString()));
  server.bind(0, "127.0.0.1");
  await once(server, "listening");
  socket = openSocket(UDP);
});

afterEach(() => {
  socket.close();
  server.close();
});

describe("a socket", () => {
  test("sends, and receives without waiting", async () => {
    const into = new Uint8Array(64);
    socket.bind(socketAddress("127.0.0.1"));
    expect(socket.receive(into)).toBeUndefined();
    server.on("message", (message, { port }) =>
      server.send(`re: ${message.toString()}`, port, "127.0.0.1"),
    );
    socket.send(Buffer.from("hello"), socketAddress("127.0.0.1", server.address().port));
    const length = await eventually(() => socket.receive(into));
    expect(Buffer.from(into.subarray(0, length)).toString()).toBe("re: hello");
  });

  test("has options", () => {
    socket.setOption(SOL_SOCKET, SO_RCVBUF, 65_536);
    expect(socket.getOption(SOL_SOCKET, SO_RCVBUF)).toBe(131_072); // The kernel counts overhead.
  });

  test("says what failed, and as what", () => {
    expect(() => openSocket({ ...UDP, domain: 1000 })).toThrow(
      "Cannot open UDP socket: EAFNOSUPPORT",
    );
    expect(() => socket.bind(socketAddress("192.0.2.1"))).toThrow(
      "Cannot bind UDP socket: EADDRNOTAVAIL",
    );
    expect(() => socket.send(new Uint8Array(1))).toThrow("Cannot send on UDP socket: EDESTADDRREQ");
  });

  test("can be taken over by its descriptor, and closed twice", () => {
    const opened = openSocket(UDP);
    const taken = socketFromFd(opened.fd, "UDP");
    expect(taken.receive(new Uint8Array(1))).toBeUndefined();
    taken.close();
    taken.close();
    expect(() => taken.receive(new Uint8Array(1))).toThrow("Cannot receive on UDP socket: EBADF");
  });
});

describe("a batch of messages", () => {
  test("goes in one round, again and again, each message to its own address", async () => {
    const batch = createMessageBatch({ capacity: 200, payloadBytes: 16 });
    const to = socketAddress("127.0.0.1", server.address().port);
    const write = (round: number): void => {
      for (let i = 0; i < batch.capacity; i++) {
        const text = Buffer.from(`${round}/${i}`);
        batch.payload(i).set(text);
        batch.address(i, to, text.length);
      }
    };
    for (const round of [1, 2]) {
      write(round);
      expect(socket.sendBatch(batch, 100)).toEqual({ sent: 100, refused: [], unsent: 0 });
      await eventually(() => received.length === round * 100);
    }
    expect(received).toContain("1/99");
    expect(received).toContain("2/0");
    expect(received).not.toContain("2/100");
  });

  test("goes on behind a message that the kernel refuses", async () => {
    const batch = createMessageBatch({ capacity: 3, payloadBytes: 4 });
    const port = server.address().port;
    for (const [i, host] of ["127.0.0.1", "255.255.255.255", "127.0.0.1"].entries()) {
      batch.payload(i).set(Buffer.from(`no ${i}`));
      batch.address(i, socketAddress(host, port), 4);
    }
    const { sent, refused, unsent } = socket.sendBatch(batch, 3);
    expect({ sent, unsent }).toEqual({ sent: 2, unsent: 0 });
    expect(refused).toMatchObject([{ index: 1, error: { code: "permission_denied" } }]);
    await eventually(() => received.join() === "no 0,no 2");
  });

  test("refuses an address or a message that has no room", () => {
    const batch = createMessageBatch({ capacity: 1, payloadBytes: 4 });
    expect(() => batch.address(0, socketAddress("::1"), 5)).toThrow(RangeError);
  });
});

test("addresses of both families are structs sockaddr", () => {
  const padding = Array.from({ length: 8 }, () => 0);
  expect([...socketAddress("192.0.2.1", 258)]).toEqual([2, 0, 1, 2, 192, 0, 2, 1, ...padding]);
  const long = socketAddress("2001:db8::1", 1);
  expect(long.length).toBe(28);
  expect([...long.subarray(0, 12)]).toEqual([AF_INET6, 0, 0, 1, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8]);
});
