import { describe, expect, test } from "@jest/globals";
import { parseBtf } from "../../../bpf/btf.ts";

const UINT8 = { id: 1, kind: "INT", name: "unsigned char", size: 1 };
const UINT16 = { id: 2, kind: "INT", name: "unsigned short", size: 2 };
const UINT32 = { id: 3, kind: "INT", name: "unsigned int", size: 4 };
const BE16 = { id: 4, kind: "TYPEDEF", name: "__be16", type_id: 5 };
const U16 = { id: 5, kind: "TYPEDEF", name: "__u16", type_id: 2 };
const BYTES = { id: 6, kind: "ARRAY", name: "(anon)", type_id: 1, nr_elems: 16 };
const KEY = {
  id: 10,
  kind: "STRUCT",
  name: "service_key",
  size: 20,
  members: [
    { name: "address", type_id: 6, bits_offset: 0 },
    { name: "port", type_id: 4, bits_offset: 128 },
    { name: "protocol", type_id: 1, bits_offset: 144 },
    { name: "pad", type_id: 1, bits_offset: 152 },
  ],
};
const TAG = { id: 11, kind: "DECL_TAG", name: "enum ip_protocol", type_id: 10, component_idx: 2 };

/** __uint(name, n): a pointer to an array of n. */
function uint(id: number, value: number): object[] {
  return [
    { id, kind: "PTR", name: "(anon)", type_id: id + 1 },
    { id: id + 1, kind: "ARRAY", name: "(anon)", type_id: 3, nr_elems: value },
  ];
}

function mapOf(keyType: number): object[] {
  return [
    ...uint(20, 1),
    ...uint(22, 500),
    { id: 24, kind: "PTR", name: "(anon)", type_id: keyType },
    { id: 25, kind: "PTR", name: "(anon)", type_id: 3 },
    {
      id: 26,
      kind: "STRUCT",
      name: "(anon)",
      members: [
        { name: "type", type_id: 20, bits_offset: 0 },
        { name: "max_entries", type_id: 22, bits_offset: 64 },
        { name: "key", type_id: 24, bits_offset: 128 },
        { name: "value", type_id: 25, bits_offset: 192 },
      ],
    },
    { id: 27, kind: "VAR", name: "services", type_id: 26 },
    { id: 28, kind: "DATASEC", name: ".maps", vars: [{ type_id: 27, offset: 0, size: 32 }] },
  ];
}

/** A struct in .rodata.config with one described field at offset 4. */
const CONFIG = [
  { id: 30, kind: "CONST", name: "(anon)", type_id: 31 },
  { id: 31, kind: "VOLATILE", name: "(anon)", type_id: 35 },
  {
    id: 35,
    kind: "STRUCT",
    name: "config",
    size: 8,
    members: [{ name: "overlay_ifindex", type_id: 3, bits_offset: 32 }],
  },
  { id: 32, kind: "VAR", name: "config", type_id: 30 },
  { id: 33, kind: "DECL_TAG", name: "Which one.", type_id: 35, component_idx: 0 },
  { id: 34, kind: "DATASEC", name: ".rodata.config", vars: [{ type_id: 32, offset: 0, size: 8 }] },
];

const BASE = [UINT8, UINT16, UINT32, BE16, U16, BYTES, KEY, TAG];

function parse(types: readonly object[]): ReturnType<typeof parseBtf> {
  return parseBtf(JSON.stringify({ types }));
}

describe("parseBtf()", () => {
  test("finds maps with their sizes, keys and values", () => {
    expect(parse([...BASE, ...mapOf(10)]).maps).toEqual([
      {
        name: "services",
        type: 1,
        maxEntries: 500,
        flags: 0,
        key: "service_key",
        value: undefined,
      },
    ]);
  });

  test("knows byte order by typedef, enums by tag, bytes by array", () => {
    expect(parse([...BASE, ...mapOf(10)]).structs.get("service_key")).toEqual({
      name: "service_key",
      size: 20,
      fields: [
        { name: "address", offset: 0, type: { kind: "bytes", size: 16 } },
        { name: "port", offset: 16, type: { kind: "integer", size: 2, bigEndian: true } },
        { name: "protocol", offset: 18, type: { kind: "enum", size: 1, name: "ip_protocol" } },
        { name: "pad", offset: 19, type: { kind: "integer", size: 1, bigEndian: false } },
      ],
    });
  });

  test("reads a struct that crosses without a map", () => {
    const crosses = { id: 12, kind: "DECL_TAG", name: "crosses", type_id: 10, component_idx: -1 };
    expect([...parse([...BASE, crosses]).structs.keys()]).toEqual(["service_key"]);
    expect(parse(BASE).structs.size).toBe(0);
  });

  test("reads the configuration with its descriptions", () => {
    const object = parse([...BASE, ...CONFIG]);
    expect(object.config).toEqual([
      {
        name: "overlay_ifindex",
        offset: 4,
        type: { kind: "integer", size: 4, bigEndian: false },
        description: "Which one.",
      },
    ]);
    expect(object.configSize).toBe(8);
  });

  test("reads what the maps of a map of maps look like", () => {
    const [, , , , , , declared, ...rest] = mapOf(10);
    const inner = {
      ...declared,
      id: 40,
      name: "endpoint_policy",
      members: [
        { name: "type", type_id: 20, bits_offset: 0 },
        { name: "max_entries", type_id: 22, bits_offset: 64 },
        { name: "key_size", type_id: 20, bits_offset: 128 },
      ],
    };
    const outer = {
      ...declared,
      members: [
        { name: "type", type_id: 20, bits_offset: 0 },
        { name: "key", type_id: 24, bits_offset: 64 },
        { name: "values", type_id: 41, bits_offset: 128 },
      ],
    };
    const { maps, structs } = parse([
      ...BASE.filter(({ id }) => id !== 10),
      { ...KEY, id: 10 },
      ...mapOf(10).slice(0, 6),
      outer,
      ...rest,
      inner,
      { id: 41, kind: "ARRAY", name: "(anon)", type_id: 42, nr_elems: 0 },
      { id: 42, kind: "PTR", name: "(anon)", type_id: 40 },
      { id: 43, kind: "DECL_TAG", name: "struct service_key", type_id: 40, component_idx: 2 },
    ]);
    expect(maps).toMatchObject([
      {
        name: "services",
        key: "service_key",
        value: undefined,
        inner: { name: "endpoint_policy", type: 1, maxEntries: 500, key: "service_key" },
      },
    ]);
    expect([...structs.keys()]).toEqual(["service_key"]);
  });

  test("reads enums", () => {
    const values = [{ name: "DROP_NONE", val: 0 }];
    const { enums } = parse([{ id: 1, kind: "ENUM", name: "drop_reason", values }]);
    expect(enums.get("drop_reason")?.values).toEqual([{ name: "DROP_NONE", value: 0 }]);
  });

  for (const [what, types] of Object.entries({
    "a key that is neither struct nor __u32": [...BASE, ...mapOf(2)],
    "a field that is a pointer": [
      ...BASE.filter(({ id }) => id !== 6),
      { id: 6, kind: "PTR", name: "(anon)", type_id: 1 },
      ...mapOf(10),
    ],
    "more than one variable in .rodata.config": [
      ...BASE,
      ...CONFIG.slice(0, -1),
      {
        id: 34,
        kind: "DATASEC",
        name: ".rodata.config",
        vars: [
          { type_id: 32, offset: 0, size: 8 },
          { type_id: 32, offset: 0, size: 8 },
        ],
      },
    ],
    "a configuration that is no struct": [
      ...BASE,
      ...CONFIG.filter(({ id }) => id !== 31),
      { id: 31, kind: "VOLATILE", name: "(anon)", type_id: 3 },
    ],
    "a type that is missing": [...BASE.filter(({ id }) => id !== 2), ...mapOf(10)],
  })) {
    test(`refuses ${what}`, () => {
      expect(() => parse(types)).toThrow(/^Cannot generate code from BTF: /);
    });
  }
});
