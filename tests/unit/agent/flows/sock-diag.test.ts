import { describe, expect, test } from "@jest/globals";
import {
  decodeMessages,
  DESTROY_BYTES,
  encodeDestruction,
  encodeListing,
  type DiagnosedSocket,
} from "../../../../agent/flows/sock-diag.ts";

/** inet_diag_msg of a socket as the kernel sends it, with an attribute of 4 bytes behind it. */
function answer(options: {
  readonly family: 2 | 10;
  readonly state: number;
  readonly port: number;
  readonly address: readonly number[];
  readonly cookie: bigint;
  readonly sequence?: number;
}): Uint8Array {
  const bytes = new Uint8Array(16 + 72 + 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, 20, true);
  view.setUint32(8, options.sequence ?? 1, true);
  bytes.set([options.family, options.state], 16);
  view.setUint16(16 + 4 + 2, options.port);
  bytes.set(options.address, 16 + 4 + 20);
  view.setBigUint64(16 + 4 + 40, options.cookie, true);
  return bytes;
}

function end(type: number, errno: number): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 20, true);
  view.setUint16(4, type, true);
  view.setUint32(8, 7, true);
  view.setInt32(16, errno, true);
  return bytes;
}

const IPV4 = answer({ family: 2, state: 2, port: 443, address: [192, 0, 2, 1], cookie: 5n });
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1];

describe("what the kernel says", () => {
  test("is sockets, with where they are connected to as maps have it", () => {
    const six = answer({ family: 10, state: 1, port: 80, address: MAPPED, cookie: 2n ** 63n });
    const [first, second, ...more] = decodeMessages(Buffer.concat([IPV4, six]), "TCP");
    expect(first).toMatchObject({
      kind: "socket",
      sequence: 1,
      socket: { family: 4, protocol: "TCP", connecting: true, cookie: 5n, port: 443 },
    });
    expect(second).toMatchObject({
      socket: { family: 6, connecting: false, cookie: 2n ** 63n, port: 80 },
    });
    for (const message of [first, second])
      expect(message?.kind === "socket" && [...message.socket.address]).toEqual(MAPPED);
    expect(more).toEqual([]);
  });

  test("is ends, with or without an error", () => {
    const bytes = Buffer.concat([end(3, 0), end(2, -2)]);
    expect([...decodeMessages(bytes, "UDP")]).toEqual([
      { kind: "end", sequence: 7, errno: 0 },
      { kind: "end", sequence: 7, errno: -2 },
    ]);
  });

  test("ends where a message is cut off or has no length", () => {
    for (let length = 0; length < IPV4.length; length++)
      expect([...decodeMessages(IPV4.subarray(0, length), "TCP")]).toEqual([]);
    expect([...decodeMessages(new Uint8Array(64), "TCP")]).toEqual([]);
  });
});

describe("what the kernel is asked", () => {
  test("is to list sockets with somebody at the other end", () => {
    const tcp = encodeListing({ family: 6, protocol: "TCP" }, 9);
    const view = new DataView(tcp.buffer);
    expect([view.getUint32(0, true), view.getUint32(8, true)]).toEqual([tcp.length, 9]);
    expect([tcp[16], tcp[17]]).toEqual([10, 6]);
    const states = view.getUint32(20, true);
    // Neither closed (7), nor waiting out its time (6), nor listening (10).
    for (const state of [6, 7, 10]) expect(states & (1 << state)).toBe(0);
    for (const state of [1, 2, 4, 5, 8]) expect(states & (1 << state)).not.toBe(0);
    const udp = encodeListing({ family: 4, protocol: "UDP" }, 1);
    expect(new DataView(udp.buffer).getUint32(20, true)).toBe(1 << 1);
  });

  test("is to end sockets by what it said of them, each with a number of its own", () => {
    const sockets: DiagnosedSocket[] = [];
    for (const message of decodeMessages(Buffer.concat([IPV4, IPV4]), "TCP"))
      if (message.kind === "socket") sockets.push(message.socket);
    const bytes = encodeDestruction(sockets, 40);
    expect(bytes.length).toBe(2 * DESTROY_BYTES);
    const view = new DataView(bytes.buffer);
    for (const start of [0, DESTROY_BYTES]) {
      expect(view.getUint16(start + 4, true)).toBe(21);
      expect(view.getUint16(start + 6, true)).toBe(0x5); // NLM_F_REQUEST, NLM_F_ACK
      expect([...bytes.subarray(start + 24, start + 72)]).toEqual([...IPV4.subarray(20, 68)]);
    }
    expect([view.getUint32(8, true), view.getUint32(DESTROY_BYTES + 8, true)]).toEqual([40, 41]);
  });
});
