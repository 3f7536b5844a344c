// Reads what the compiler says of the C programs: `bpftool -j btf dump file` in, the structs,
// enums, maps and configuration variables that cross to TypeScript out. Pure.
import { MeshError } from "../mesh/core/errors.ts";

export interface BtfField {
  readonly name: string;
  readonly offset: number;
  readonly type: BtfFieldType;
}

export type BtfFieldType =
  | { readonly kind: "integer"; readonly size: 1 | 2 | 4 | 8; readonly bigEndian: boolean }
  | { readonly kind: "enum"; readonly size: 1; readonly name: string }
  | { readonly kind: "bytes"; readonly size: number };

export interface BtfStruct {
  readonly name: string;
  readonly size: number;
  readonly fields: readonly BtfField[];
}

export interface BtfEnum {
  readonly name: string;
  readonly values: readonly { readonly name: string; readonly value: number }[];
}

export interface BtfMap {
  readonly name: string;
  readonly type: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** A struct's name, or undefined for a plain __u32 and for maps that have none. */
  readonly key: string | undefined;
  readonly value: string | undefined;
  /** What the values of a map of maps look like. */
  readonly inner?: BtfMap;
}

export interface BtfConfigField extends BtfField {
  readonly description: string;
}

/** What one object file declares. */
export interface BtfObject {
  readonly structs: ReadonlyMap<string, BtfStruct>;
  readonly enums: ReadonlyMap<string, BtfEnum>;
  readonly maps: readonly BtfMap[];
  /** The fields of the one `const volatile` struct in .rodata.config, and its size. */
  readonly config: readonly BtfConfigField[];
  readonly configSize: number;
}

interface RawType {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly size?: number;
  readonly type_id?: number;
  readonly nr_elems?: number;
  readonly component_idx?: number;
  readonly members?: readonly { name: string; type_id: number; bits_offset: number }[];
  readonly values?: readonly { name: string; val: number }[];
  readonly vars?: readonly { type_id: number; offset: number; size: number }[];
}

/** What sized_as() of layout.h writes. */
const STRUCT_TAG = "struct ";

/** component_idx of a tag that is not on one member. */
const WHOLE_TYPE = -1;

/** Throws `invalid_argument` for a layout that the generator does not know how to write. */
export function parseBtf(json: string): BtfObject {
  const { types } = JSON.parse(json) as { types: readonly RawType[] };
  const reader = createReader(types);
  const section = (name: string): RawType | undefined =>
    types.find((type) => type.kind === "DATASEC" && type.name === name);
  const maps = (section(".maps")?.vars ?? []).map(({ type_id }) => reader.map(type_id));
  const all = maps.flatMap((map) => (map.inner === undefined ? [map] : [map, map.inner]));
  const wanted = new Set(all.flatMap(({ key, value }) => [key, value]));
  const structs = types.filter(
    ({ kind, name, id }) => kind === "STRUCT" && (wanted.has(name) || reader.crosses(id)),
  );
  const enums = types.filter(({ kind, name }) => kind === "ENUM" && name !== "(anon)");
  const variables = section(".rodata.config")?.vars ?? [];
  // Before an object is loaded, every variable is said to be at offset 0.
  if (variables.length > 1) throw unsupported(".rodata.config has more than one variable");
  const configs = variables.map(({ type_id }) => reader.config(type_id));
  return {
    structs: new Map(structs.map((type) => [type.name, reader.struct(type)])),
    enums: new Map(enums.map((type) => [type.name, enumFromRaw(type)])),
    maps,
    config: configs.flatMap(({ fields }) => fields),
    configSize: configs[0]?.size ?? 0,
  };
}

interface Reader {
  /** Whether the struct wants a codec although no map holds it. */
  crosses(id: number): boolean;
  struct(type: RawType): BtfStruct;
  map(variableId: number): BtfMap;
  config(variableId: number): { readonly fields: BtfConfigField[]; readonly size: number };
}

function createReader(types: readonly RawType[]): Reader {
  const byId = new Map(types.map((type) => [type.id, type]));
  const get = (id: number | undefined): RawType => {
    const type = byId.get(id ?? 0);
    if (type === undefined) throw unsupported(`type ${id} is missing`);
    return type;
  };
  /** Behind typedefs and qualifiers, with the last typedef's name: it tells the byte order. */
  const resolve = (id: number | undefined): { type: RawType; alias: string } => {
    let alias = "";
    for (let type = get(id); ; type = get(type.type_id)) {
      if (type.kind === "TYPEDEF") alias ||= type.name;
      else if (type.kind !== "CONST" && type.kind !== "VOLATILE") return { type, alias };
    }
  };
  const tagsOf = (id: number, component: number): readonly string[] =>
    types
      .filter(({ kind, type_id, component_idx }) => {
        return kind === "DECL_TAG" && type_id === id && component_idx === component;
      })
      .map(({ name }) => name);

  const fieldType = (id: number, tags: readonly string[]): BtfFieldType => {
    const { type, alias } = resolve(id);
    const enumName = tags.find((tag) => tag.startsWith("enum "))?.slice("enum ".length);
    if (
      type.kind === "INT" &&
      (type.size === 1 || type.size === 2 || type.size === 4 || type.size === 8)
    ) {
      if (enumName === undefined)
        return { kind: "integer", size: type.size, bigEndian: alias.startsWith("__be") };
      if (type.size === 1) return { kind: "enum", size: 1, name: enumName };
    }
    if (type.kind === "ARRAY" && resolve(type.type_id).type.size === 1)
      return { kind: "bytes", size: type.nr_elems ?? 0 };
    throw unsupported(`a field is of kind ${type.kind} and size ${type.size}`);
  };

  const struct = (raw: RawType): BtfStruct => ({
    name: raw.name,
    size: raw.size ?? 0,
    fields: (raw.members ?? []).map((member, i) => ({
      name: member.name,
      offset: member.bits_offset / 8,
      type: fieldType(member.type_id, tagsOf(raw.id, i)),
    })),
  });

  // libbpf's __uint(name, n) is a pointer to an array of n, __type(name, T) a pointer to T, and
  // __array(values, T) an array of pointers to T.
  const map = (variableId: number): BtfMap => {
    const { name, type_id } = get(variableId);
    return mapOf(name, get(type_id));
  };
  const mapOf = (mapName: string, declared: RawType): BtfMap => {
    const members = new Map(declared.members?.map((m) => [m.name, m.type_id]));
    const number = (name: string): number =>
      members.has(name) ? (get(get(members.get(name)).type_id).nr_elems ?? 0) : 0;
    const structName = (name: string): string | undefined => {
      if (members.has(`${name}_size`)) {
        const index = declared.members?.findIndex((member) => member.name === `${name}_size`) ?? 0;
        const tag = tagsOf(declared.id, index).find((text) => text.startsWith(STRUCT_TAG));
        return tag?.slice(STRUCT_TAG.length);
      }
      if (!members.has(name)) return undefined;
      const { type } = resolve(get(members.get(name)).type_id);
      if (type.kind === "STRUCT") return type.name;
      if (type.kind === "INT" && type.size === 4) return undefined;
      throw unsupported(`the ${name} of map ${mapName} is neither a struct nor a __u32`);
    };
    const inner = members.has("values")
      ? get(get(get(members.get("values")).type_id).type_id)
      : undefined;
    return {
      name: mapName,
      type: number("type"),
      maxEntries: number("max_entries"),
      flags: number("map_flags"),
      key: structName("key"),
      value: structName("value"),
      ...(inner === undefined ? {} : { inner: mapOf(inner.name, inner) }),
    };
  };

  const config = (variableId: number): ReturnType<Reader["config"]> => {
    const { type } = resolve(get(variableId).type_id);
    if (type.kind !== "STRUCT")
      throw unsupported(".rodata.config has a variable that is no struct");
    const { fields, size } = struct(type);
    const described = fields.map((field, i) => {
      const [description = ""] = tagsOf(type.id, i);
      return { ...field, description };
    });
    return { fields: described, size };
  };
  const crosses = (id: number): boolean => tagsOf(id, WHOLE_TYPE).includes("crosses");
  return { crosses, struct, map, config };
}

function enumFromRaw(raw: RawType): BtfEnum {
  return {
    name: raw.name,
    values: (raw.values ?? []).map(({ name, val }) => ({ name, value: val })),
  };
}

function unsupported(reason: string): MeshError {
  return new MeshError("invalid_argument", `Cannot generate code from BTF: ${reason}`);
}
