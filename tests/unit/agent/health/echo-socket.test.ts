import { describe, expect, test } from "@jest/globals";
import { createMemory } from "../../../../bpf/codec.ts";
import { probePayloadCodec } from "../../../../bpf/gen/layout.ts";
import { internetChecksum, writeEchoRequest } from "../../../../agent/health/echo-socket.ts";

const request = { address: "10.2.1.1", cookie: 0x1122334455667788n, target: 3, sequence: 70_000 };

describe("writeEchoRequest()", () => {
  test("writes an ICMP echo request whose checksum is right", () => {
    const memory = createMemory(32);
    writeEchoRequest(memory, { request, family: 4, sentNs: 5n });
    expect([...memory.bytes.subarray(0, 2)]).toEqual([8, 0]);
    // Summed with its checksum in place, a right message gives 0 (RFC 1071).
    expect(internetChecksum(memory.view)).toBe(0);
    expect(probePayloadCodec.decode(memory, 8)).toEqual({
      cookie: request.cookie,
      sentNs: 5n,
      target: 3,
      sequence: 70_000,
    });
  });

  test("leaves ICMPv6's checksum, which covers the addresses, to the kernel", () => {
    const memory = createMemory(32);
    writeEchoRequest(memory, { request, family: 6, sentNs: 5n });
    expect([...memory.bytes.subarray(0, 4)]).toEqual([128, 0, 0, 0]);
  });
});

test("internetChecksum() is the example of RFC 1071", () => {
  const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  expect(internetChecksum(new DataView(bytes.buffer))).toBe(~0xddf2 & 0xffff);
});
