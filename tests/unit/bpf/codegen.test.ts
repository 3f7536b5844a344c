import { describe, expect, test } from "@jest/globals";
import { generateFiles } from "../../../bpf/codegen.ts";
import type { BtfEnum, BtfObject, BtfStruct } from "../../../bpf/btf.ts";

const PROTOCOL: BtfEnum = {
  name: "ip_protocol",
  values: [
    { name: "PROTOCOL_TCP", value: 6 },
    { name: "PROTOCOL_UDP", value: 17 },
  ],
};
const DROP_REASON: BtfEnum = {
  name: "drop_reason",
  values: [
    { name: "DROP_NONE", value: 0 },
    { name: "DROP_NOT_IP", value: 1 },
    { name: "DROP_REASON_COUNT", value: 2 },
  ],
};
const COUNTER: BtfEnum = { name: "counter", values: [{ name: "COUNTER_SENT", value: 0 }] };
const KEY: BtfStruct = {
  name: "service_key",
  size: 8,
  fields: [
    { name: "port", offset: 0, type: { kind: "integer", size: 2, bigEndian: true } },
    { name: "ip_protocol", offset: 2, type: { kind: "enum", size: 1, name: "ip_protocol" } },
    { name: "pad", offset: 3, type: { kind: "bytes", size: 5 } },
  ],
};

function object(changes: Partial<BtfObject> = {}): BtfObject {
  return {
    structs: new Map([["service_key", KEY]]),
    enums: new Map([PROTOCOL, DROP_REASON, COUNTER].map((one) => [one.name, one])),
    maps: [
      { name: "services", type: 1, maxEntries: 9, flags: 1, key: "service_key", value: undefined },
    ],
    config: [],
    configSize: 0,
    ...changes,
  };
}

function generate(...objects: readonly BtfObject[]): ReadonlyMap<string, string> {
  return generateFiles(new Map(objects.map((one, i) => [`object${i}`, one])));
}

describe("generateFiles()", () => {
  test("writes a type and a codec for a struct, without its padding", () => {
    const layout = generate(object()).get("layout.ts");
    expect(layout).toContain(`export interface ServiceKey {
  readonly port: number;
  readonly ipProtocol: IpProtocol;
}
`);
    expect(layout).toContain(`  encode(value, memory, offset) {
    memory.view.setUint16(offset, value.port, false);
    memory.view.setUint8(offset + 2, value.ipProtocol);
    clearBytes(memory, offset + 3, 5);
  },
`);
    expect(layout).toContain("memory.view.getUint8(offset + 2) as IpProtocol");
  });

  test("writes enums without their common prefix, the count apart", () => {
    const files = generate(object());
    expect(files.get("layout.ts")).toContain(`export const IpProtocol = {
  tcp: 6,
  udp: 17,
} as const;
`);
    expect(files.get("drop.ts")).toContain(`export const DropReason = {
  none: 0,
  notIp: 1,
} as const;
`);
    expect(files.get("drop.ts")).toContain("export const DROP_REASON_COUNT = 2;");
  });

  test("writes the spec of an inner map beside that of its outer one, and none for bytes", () => {
    const inner = {
      name: "endpoint_policy",
      type: 11,
      maxEntries: 5,
      flags: 1,
      key: "service_key",
      value: undefined,
    };
    const outer = { ...inner, name: "policies", type: 13, key: undefined, inner };
    const ring = { ...inner, name: "records", type: 27, maxEntries: 4096, key: undefined };
    const maps = generate(object({ maps: [outer, ring] })).get("maps.ts");
    expect(maps).toContain(`
export const endpointPolicyMap: MapSpec<ServiceKey, number> = {
  name: "endpoint_policy",
  type: "lpm_trie",`);
    expect(maps).toContain(`  type: "hash_of_maps",`);
    expect(maps).toContain(`
export const recordsMap: AnyMapSpec = {
  name: "records",
  type: "ringbuf",
  maxEntries: 4096,
  key: { size: 0 },
  value: { size: 0 },
};
`);
    expect(maps).toContain("= [\n  policiesMap,\n  recordsMap,\n];");
  });

  test("writes map specs", () => {
    expect(generate(object()).get("maps.ts")).toContain(`
export const servicesMap: MapSpec<ServiceKey, number> = {
  name: "services",
  type: "hash",
  maxEntries: 9,
  flags: 1,
  key: serviceKeyCodec,
  value: uint32Codec,
};
`);
  });

  test("writes what several objects declare once", () => {
    const maps = generate(object(), object()).get("maps.ts") ?? "";
    expect(maps.match(/export const servicesMap/g)).toHaveLength(1);
  });

  for (const [what, objects] of Object.entries({
    'two objects declare "services" differently': [
      object(),
      object({ maps: object().maps.map((map) => ({ ...map, maxEntries: 10 })) }),
    ],
    "map services is of the unknown type 99": [
      object({ maps: object().maps.map((map) => ({ ...map, type: 99 })) }),
    ],
    "struct service_key holds enum ip_protocol, which prog/enums.bpf.c does not name": [
      object({ enums: new Map([DROP_REASON, COUNTER].map((one) => [one.name, one])) }),
    ],
    "enum drop_reason is in no object": [
      object({ enums: new Map([PROTOCOL, COUNTER].map((one) => [one.name, one])) }),
    ],
  })) {
    test(`says "${what}"`, () => {
      expect(() => generate(...objects)).toThrow(`Cannot generate code from BTF: ${what}`);
    });
  }
});
