// Writes the TypeScript of bpf/gen/ from what btf.ts has read. Pure: text out, nothing touched.
import { MeshError } from "../mesh/core/errors.ts";
import type { BtfEnum, BtfField, BtfFieldType, BtfMap, BtfObject, BtfStruct } from "./btf.ts";

/** File name → contents. */
export type GeneratedFiles = ReadonlyMap<string, string>;

const HEADER =
  "// Generated from the BTF of the C programs by `make -C bpf generate`. Not to be edited.\n";

/** enum bpf_map_type of linux/bpf.h: the types in use. */
const MAP_TYPES: ReadonlyMap<number, string> = new Map([
  [1, "hash"],
  [2, "array"],
  [6, "percpu_array"],
  [9, "lru_hash"],
  [11, "lpm_trie"],
  [13, "hash_of_maps"],
  [27, "ringbuf"],
]);

/** Enums with a file of their own; the others stand beside the structs that hold them. */
const ENUM_FILES: ReadonlyMap<string, string> = new Map([
  ["drop_reason", "drop.ts"],
  ["counter", "counter.ts"],
]);

/** `objects` by name, as "socket" for socket.bpf.o; what several declare must be the same. */
export function generateFiles(objects: ReadonlyMap<string, BtfObject>): GeneratedFiles {
  const structs = merge([...objects.values()].map((object) => object.structs));
  const enums = merge([...objects.values()].map((object) => object.enums));
  const maps = merge(
    [...objects.values()].map((object) => new Map(object.maps.map((map) => [map.name, map]))),
  );
  const layoutEnums = [...enums.values()].filter(({ name }) => isLayoutEnum(name, structs));
  const files = new Map([
    ["layout.ts", generateLayout([...structs.values()], layoutEnums)],
    ["maps.ts", generateMaps([...maps.values()])],
    ["config.ts", generateConfig(objects)],
  ]);
  for (const [name, file] of ENUM_FILES) {
    const found = enums.get(name);
    if (found === undefined) throw invalid(`enum ${name} is in no object`);
    files.set(file, HEADER + generateEnum(found));
  }
  return files;
}

function isLayoutEnum(name: string, structs: ReadonlyMap<string, BtfStruct>): boolean {
  for (const { fields } of structs.values()) {
    if (fields.some(({ type }) => type.kind === "enum" && type.name === name)) return true;
  }
  return false;
}

function generateLayout(structs: readonly BtfStruct[], enums: readonly BtfEnum[]): string {
  const known = new Set(enums.map(({ name }) => name));
  for (const { name, fields } of structs) {
    for (const { type } of fields) {
      if (type.kind === "enum" && !known.has(type.name))
        throw invalid(
          `struct ${name} holds enum ${type.name}, which prog/enums.bpf.c does not name`,
        );
    }
  }
  return [
    HEADER,
    'import { clearBytes, readBytes, writeBytes, type Codec } from "../codec.ts";\n',
    ...[...enums].sort(byName).map(generateEnum),
    ...[...structs].sort(byName).map(generateStruct),
  ].join("");
}

function generateStruct(struct: BtfStruct): string {
  const type = pascal(struct.name);
  const fields = struct.fields.filter(({ name }) => !isPad(name));
  return `
export interface ${type} {
${fields.map((field) => `  readonly ${camel(field.name)}: ${typeScriptType(field.type)};\n`).join("")}}

${generateCodec({ constant: `${camel(struct.name)}Codec`, type, name: struct.name, size: struct.size, fields: struct.fields })}`;
}

interface CodecSource {
  readonly constant: string;
  readonly type: string;
  readonly name: string;
  readonly size: number;
  readonly fields: readonly BtfField[];
}

function generateCodec({ constant, type, name, size, fields }: CodecSource): string {
  const kept = fields.filter((field) => !isPad(field.name));
  return `export const ${constant}: Codec<${type}> = {
  name: "${name}",
  size: ${size},
  encode(value, memory, offset) {
${fields.map((field) => `    ${writeField(field)};\n`).join("")}  },
  decode: (memory, offset) => ({
${kept.map((field) => `    ${camel(field.name)}: ${readField(field)},\n`).join("")}  }),
};
`;
}

function writeField({ name, offset, type }: BtfField): string {
  const place = offset === 0 ? "offset" : `offset + ${offset}`;
  if (isPad(name)) return `clearBytes(memory, ${place}, ${type.size})`;
  const value = `value.${camel(name)}`;
  if (type.kind === "bytes")
    return `writeBytes(${value}, { memory, offset: ${place}, length: ${type.size} })`;
  return `memory.view.set${viewType(type)}(${place}, ${value}${orderArgument(type)})`;
}

function readField({ offset, type }: BtfField): string {
  const place = offset === 0 ? "offset" : `offset + ${offset}`;
  if (type.kind === "bytes") return `readBytes(memory, ${place}, ${type.size})`;
  const value = `memory.view.get${viewType(type)}(${place}${orderArgument(type)})`;
  return type.kind === "enum" ? `${value} as ${pascal(type.name)}` : value;
}

function viewType(type: Exclude<BtfFieldType, { kind: "bytes" }>): string {
  return type.size === 8 ? "BigUint64" : `Uint${type.size * 8}`;
}

/** Every machine that the project runs on is little-endian, and so are the objects it builds. */
function orderArgument(type: BtfFieldType): string {
  if (type.size === 1) return "";
  return type.kind === "integer" && type.bigEndian ? ", false" : ", true";
}

function typeScriptType(type: BtfFieldType): string {
  if (type.kind === "bytes") return "Uint8Array";
  if (type.kind === "enum") return pascal(type.name);
  return type.size === 8 ? "bigint" : "number";
}

function generateEnum({ name, values }: BtfEnum): string {
  const type = pascal(name);
  const prefix = commonPrefix(values.map((value) => value.name));
  const countName = `${name.toUpperCase()}_COUNT`;
  const isCount = (constant: string): boolean =>
    constant === countName || constant === `${prefix}COUNT`;
  const kept = values.filter((value) => !isCount(value.name));
  const count = values.find((value) => isCount(value.name));
  const key = (constant: string): string => camel(constant.slice(prefix.length).toLowerCase());
  return `
export const ${type} = {
${kept.map((value) => `  ${key(value.name)}: ${value.value},\n`).join("")}} as const;
export type ${type} = (typeof ${type})[keyof typeof ${type}];
${count === undefined ? "" : `export const ${countName} = ${count.value};\n`}`;
}

function generateMaps(maps: readonly BtfMap[]): string {
  const sorted = [...maps].sort(byName);
  const inner = sorted.flatMap((map) => map.inner ?? []);
  const structs = [...new Set([...sorted, ...inner].flatMap(({ key, value }) => [key, value]))]
    .filter((name) => name !== undefined)
    .sort();
  const codec = (name: string | undefined): string =>
    name === undefined ? "uint32Codec" : `${camel(name)}Codec`;
  const type = (name: string | undefined): string => (name === undefined ? "number" : pascal(name));
  const entries = [...sorted, ...inner].map((map) =>
    mapType(map) === "ringbuf"
      ? `
export const ${camel(map.name)}Map: AnyMapSpec = {
  name: "${map.name}",
  type: "ringbuf",
  maxEntries: ${map.maxEntries},
  key: { size: 0 },
  value: { size: 0 },
};
`
      : `
export const ${camel(map.name)}Map: MapSpec<${type(map.key)}, ${type(map.value)}> = {
  name: "${map.name}",
  type: "${mapType(map)}",
  maxEntries: ${map.maxEntries},
  flags: ${map.flags},
  key: ${codec(map.key)},
  value: ${codec(map.value)},
};
`,
  );
  return `${HEADER}import { uint32Codec, type AnyMapSpec, type MapSpec } from "../codec.ts";
import {
${structs.map((name) => `  ${camel(name)}Codec,\n  type ${pascal(name)},\n`).join("")}} from "./layout.ts";
${entries.join("")}
export const ALL_MAPS: readonly AnyMapSpec[] = [
${sorted.map(({ name }) => `  ${camel(name)}Map,\n`).join("")}];
`;
}

function mapType(map: BtfMap): string {
  const type = MAP_TYPES.get(map.type);
  if (type === undefined) throw invalid(`map ${map.name} is of the unknown type ${map.type}`);
  return type;
}

function generateConfig(objects: ReadonlyMap<string, BtfObject>): string {
  const parts = [...objects]
    .filter(([, object]) => object.config.length > 0)
    .map(([name, { config, configSize }]) => {
      const type = `${pascal(name)}Config`;
      const fields = config.map(
        (field) =>
          `  /** ${field.description} */\n  readonly ${camel(field.name)}: ${typeScriptType(field.type)};\n`,
      );
      const codec = generateCodec({
        constant: `${camel(name)}ConfigCodec`,
        type,
        name: ".rodata.config",
        size: configSize,
        fields: config,
      });
      return `\nexport interface ${type} {\n${fields.join("")}}\n\n${codec}`;
    });
  return `${HEADER}import type { Codec } from "../codec.ts";\n${parts.join("")}`;
}

/** One map of all; throws where two objects disagree about what has one name. */
function merge<T>(parts: readonly ReadonlyMap<string, T>[]): ReadonlyMap<string, T> {
  const merged = new Map<string, T>();
  for (const part of parts) {
    for (const [name, item] of part) {
      const other = merged.get(name);
      if (other !== undefined && JSON.stringify(other) !== JSON.stringify(item))
        throw invalid(`two objects declare "${name}" differently`);
      merged.set(name, item);
    }
  }
  return merged;
}

function isPad(name: string): boolean {
  return /^pad\d*$/.test(name);
}

/** The part up to an underscore that all names begin with. */
function commonPrefix(names: readonly string[]): string {
  const [first = ""] = names;
  let end = 0;
  for (
    let i = 1;
    i <= first.length && names.every((name) => name.startsWith(first.slice(0, i)));
    i++
  )
    if (first[i - 1] === "_") end = i;
  return first.slice(0, end);
}

function camel(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function pascal(name: string): string {
  const word = camel(name);
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : 1;
}

function invalid(reason: string): MeshError {
  return new MeshError("invalid_argument", `Cannot generate code from BTF: ${reason}`);
}
