// The functions that generated codecs call, and what all generated codecs have in common.
import { describe, expect, test } from "@jest/globals";
import {
  clearBytes,
  createMemory,
  readBytes,
  uint32Codec,
  writeBytes,
  type Codec,
} from "../../../bpf/codec.ts";
import {
  backendCodec,
  ClusterDrill,
  ClusterHealth,
  clusterStateCodec,
  groupCodec,
  ipcacheEntryCodec,
  serviceKeyCodec,
} from "../../../bpf/gen/layout.ts";

const ADDRESS = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
const ADDRESS_HEX = "0102030405060708090a0b0c0d0e0f10";

interface Case<T> {
  readonly codec: Codec<T>;
  readonly value: T;
  readonly hex: string;
}

function golden<T>(codec: Codec<T>, value: T, hex: string): Case<unknown> {
  return { codec, value, hex } as Case<unknown>;
}

// Integers are little-endian, ports in network order, padding zero.
const CASES = [
  golden(uint32Codec, 0x01020304, "04030201"),
  golden(serviceKeyCodec, { address: ADDRESS, port: 80, protocol: 6 }, `${ADDRESS_HEX}00500600`),
  golden(
    groupCodec,
    { clusterId: 0x102, tier: 3, weight: 4, backendCount: 5 },
    "02010300040000000500000000000000",
  ),
  golden(
    backendCodec,
    { address: ADDRESS, port: 0x1f90, protocol: 17, state: 1, clusterId: 7 },
    `${ADDRESS_HEX}1f90110107000000`,
  ),
  golden(
    clusterStateCodec,
    {
      drillExpiresNs: 0x0102030405060708n,
      drainExpiresNs: 0x1112131415161718n,
      healthIpv4: ClusterHealth.down,
      healthIpv6: ClusterHealth.lastResort,
      heldBackPercentIpv4: 90,
      heldBackPercentIpv6: 50,
      drainedPercent: 100,
      drill: ClusterDrill.down,
    },
    "0807060504030201181716151413121102035a3264010000",
  ),
  golden(
    ipcacheEntryCodec,
    { identity: 0x10203, tunnelEndpoint: ADDRESS, clusterId: 2, encryptionKey: 9 },
    `03020100${ADDRESS_HEX}02000900`,
  ),
];

describe("generated codecs", () => {
  for (const { codec, value, hex } of CASES) {
    test(`${codec.name} is laid out as the kernel has it, over whatever was there before`, () => {
      const memory = createMemory(codec.size + 4);
      memory.bytes.fill(0xaa);
      codec.encode(value, memory, 2);
      expect(Buffer.from(memory.bytes).toString("hex")).toBe(`aaaa${hex}aaaa`);
      expect(codec.decode(memory, 2)).toEqual(value);
    });
  }
});

describe("bytes", () => {
  test("writeBytes() refuses another length", () => {
    const memory = createMemory(4);
    const place = { memory, offset: 0, length: 4 };
    expect(() => writeBytes(new Uint8Array(3), place)).toThrow(RangeError);
  });

  test("readBytes() copies, clearBytes() clears", () => {
    const memory = createMemory(4);
    memory.bytes.fill(7);
    const copy = readBytes(memory, 1, 2);
    clearBytes(memory, 1, 2);
    expect([...copy]).toEqual([7, 7]);
    expect([...memory.bytes]).toEqual([7, 0, 0, 7]);
  });
});
