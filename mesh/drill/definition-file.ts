// A drill from a YAML file or from flags. Errors name the file, line and column, or the flag.
import { isMap, isNode, isScalar, LineCounter, parseAllDocuments, type Document } from "yaml";
import { MeshError } from "../core/errors.ts";
import { DEFINITION_VERSION, definitionFrom, type DrillDefinition } from "./definition.ts";
import type { Place } from "./fields.ts";

/** One drill or several, as documents of one file. `file` only appears in errors. */
export function parseDefinitions(file: string, text: string): readonly DrillDefinition[] {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  const found = (documents as Document.Parsed[]).filter(
    ({ contents, errors }) => contents !== null || errors.length > 0,
  );
  if (found.length === 0) {
    throw new MeshError("invalid_argument", `Cannot use ${file}: it holds no drill`);
  }
  const definitions = found.map((document) => {
    const [error] = document.errors;
    if (error !== undefined) {
      const reason = error.message.split("\n", 1)[0] ?? "";
      throw new MeshError(
        "invalid_argument",
        `Cannot use ${at(file, lines, error.pos[0])}: it is no YAML: ${reason}`,
      );
    }
    return definitionFrom(document.toJS(), placeIn(document, { file, lines }));
  });
  const names = definitions.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new MeshError("invalid_argument", `Cannot use ${file}: two drills are named "${twice}"`);
  }
  return definitions;
}

/** Throws `invalid_argument` also if the file holds several drills. */
export function parseDefinition(file: string, text: string): DrillDefinition {
  const [definition, ...more] = parseDefinitions(file, text);
  if (definition !== undefined && more.length === 0) return definition;
  throw new MeshError("invalid_argument", `Cannot use ${file}: it holds several drills`, {
    hint: "`mesh drill run --schedule` runs a file of several",
  });
}

/** What the flags of `mesh drill run` say; undefined is not given. */
export interface DefinitionFlags {
  readonly name?: string | undefined;
  readonly fault?: string | undefined;
  readonly cluster?: string | undefined;
  readonly peer?: string | undefined;
  readonly node?: string | undefined;
  readonly percent?: string | undefined;
  readonly service?: readonly string[] | undefined;
  readonly direction?: string | undefined;
  readonly "flow-percent"?: string | undefined;
  readonly duration?: string | undefined;
  readonly baseline?: string | undefined;
  readonly failback?: string | undefined;
  readonly rto?: string | undefined;
  readonly "max-lost"?: string | undefined;
  readonly "failback-rto"?: string | undefined;
  readonly rate?: string | undefined;
  readonly protocol?: string | undefined;
}

const FLAG_PATHS: readonly (readonly [keyof DefinitionFlags, readonly string[]])[] = [
  ["name", ["name"]],
  ["fault", ["fault", "kind"]],
  ["cluster", ["fault", "cluster"]],
  ["peer", ["fault", "peer"]],
  ["node", ["fault", "node"]],
  ["percent", ["fault", "percent"]],
  ["service", ["scope", "services"]],
  ["direction", ["scope", "direction"]],
  ["flow-percent", ["scope", "flowPercent"]],
  ["duration", ["duration"]],
  ["baseline", ["baseline"]],
  ["failback", ["failback"]],
  ["rto", ["objectives", "default", "rto"]],
  ["max-lost", ["objectives", "default", "maxLostRequests"]],
  ["failback-rto", ["objectives", "default", "failbackRto"]],
  ["rate", ["canaries", "perSecond"]],
  ["protocol", ["canaries", "protocol"]],
];

const NUMBERS: ReadonlySet<string> = new Set(["percent", "flow-percent", "max-lost", "rate"]);

/** The value that a file with the same words would give. */
export function definitionFromFlags(flags: DefinitionFlags): DrillDefinition {
  const value: Record<string, unknown> = { version: DEFINITION_VERSION };
  const name = flags.name ?? [flags.fault, flags.cluster].filter(Boolean).join("-").slice(0, 36);
  for (const [flag, path] of FLAG_PATHS) {
    const given = flag === "name" ? name : flags[flag];
    if (given === undefined || given.length === 0) continue;
    const number = NUMBERS.has(flag) && /^\d+$/.test(String(given));
    set(value, path, number ? Number(given) : given);
  }
  return definitionFrom(value, (path) => {
    const known = FLAG_PATHS.filter(([, words]) => words.every((word, i) => path[i] === word));
    const flag = known.sort(([, a], [, b]) => b.length - a.length)[0]?.[0];
    return flag === undefined ? "the flags" : `--${flag}`;
  });
}

function set(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [first = "", ...rest] = path;
  if (rest.length === 0) {
    target[first] = value;
    return;
  }
  const child = (target[first] ?? {}) as Record<string, unknown>;
  target[first] = child;
  set(child, rest, value);
}

function placeIn(
  document: Document.Parsed,
  { file, lines }: { file: string; lines: LineCounter },
): Place {
  return (path, part) => {
    const offset = part === "key" ? keyOffset(document, path) : valueOffset(document, path);
    return at(file, lines, offset ?? document.range[0]);
  };
}

function valueOffset(
  document: Document.Parsed,
  path: readonly (string | number)[],
): number | undefined {
  const node = path.length === 0 ? document.contents : document.getIn(path, true);
  return isNode(node) ? node.range?.[0] : undefined;
}

function keyOffset(
  document: Document.Parsed,
  path: readonly (string | number)[],
): number | undefined {
  const [name, above] = [path.at(-1), path.slice(0, -1)];
  const map = above.length === 0 ? document.contents : document.getIn(above, true);
  if (!isMap(map)) return undefined;
  const key = map.items.find((item) => isScalar(item.key) && item.key.value === name)?.key;
  return isScalar(key) ? key.range?.[0] : undefined;
}

function at(file: string, lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `${file}:${line}:${col}`;
}
