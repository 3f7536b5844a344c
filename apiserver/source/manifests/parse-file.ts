// One manifest file → objects and problems. Pure. A file with any error gives no objects at all:
// half a file is never what its author meant.
import { isScalar, LineCounter, parseAllDocuments, type Document } from "yaml";
import { POLICY_KINDS } from "../../../mesh/core/policy.ts";
import {
  namespaceFromFields,
  nodeFromFields,
  podFromFields,
  serviceFromFields,
  sliceFromFields,
  type Warn,
} from "../convert.ts";
import { FieldError, Fields } from "../fields.ts";
import {
  ciliumClusterwidePolicyFromFields,
  ciliumPolicyFromFields,
} from "../policy/cilium-policy.ts";
import { closedObject } from "../policy/closed-object.ts";
import { networkPolicyFromFields } from "../policy/network-policy.ts";
import { objectKey, SOURCE_KINDS, type SourceObject, type SourceProblem } from "../objects.ts";
import { yamlTree } from "./yaml-tree.ts";

export interface PlacedObject {
  readonly object: SourceObject;
  readonly line: number;
}

export interface ParsedFile {
  /** Empty if there is an error among the problems. */
  readonly objects: readonly PlacedObject[];
  /**
   * Policies, also of a file with errors, and closed where they could not be read: where nothing
   * better is known of the file, at least they are in force.
   */
  readonly policies: readonly PlacedObject[];
  readonly problems: readonly SourceProblem[];
}

/** So many problems of one file tell enough; the rest would bury the others' in status. */
const MAX_PROBLEMS_A_FILE = 20;

const WITHOUT_NAMESPACE = ["Namespace", "Node", "CiliumClusterwideNetworkPolicy"];
const USED_KINDS = `${SOURCE_KINDS.slice(0, -1).join(", ")} or ${SOURCE_KINDS.at(-1)}`;

type Convert = (fields: Fields, warn: Warn) => SourceObject | undefined;

const CONVERTERS: Readonly<Record<string, Convert>> = {
  "v1/Namespace": namespaceFromFields,
  "v1/Node": nodeFromFields,
  "v1/Pod": podFromFields,
  "v1/Service": serviceFromFields,
  "discovery.k8s.io/v1/EndpointSlice": sliceFromFields,
  "discovery.k8s.io/v1beta1/EndpointSlice": sliceFromFields,
  "networking.k8s.io/v1/NetworkPolicy": networkPolicyFromFields,
  "cilium.io/v2/CiliumNetworkPolicy": ciliumPolicyFromFields,
  "cilium.io/v2/CiliumClusterwideNetworkPolicy": ciliumClusterwidePolicyFromFields,
};

/** `file` only appears in problems. */
export function parseManifestFile(file: string, text: string): ParsedFile {
  const lines = new LineCounter();
  const reader = new FileReader(file, lines);
  // Positions come from the line counter; pretty errors would repeat the file's text in them.
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false });
  for (const document of documents as Document.Parsed[]) reader.document(document);
  return reader.result();
}

class FileReader {
  readonly #file: string;
  readonly #lines: LineCounter;
  readonly #objects: PlacedObject[] = [];
  readonly #closed: PlacedObject[] = [];
  readonly #problems: SourceProblem[] = [];
  readonly #seen = new Map<string, number>();
  readonly #unused = new Set<string>();

  constructor(file: string, lines: LineCounter) {
    this.#file = file;
    this.#lines = lines;
  }

  document(document: Document.Parsed): void {
    for (const error of document.errors) {
      const reason = error.message.split("\n", 1)[0] ?? "";
      this.#problem("error", error.pos[0], { message: `Cannot parse YAML: ${reason}` });
    }
    if (document.errors.length > 0 || document.contents === null) return;
    if (isScalar(document.contents) && document.contents.value === null) return;
    const place = { tree: yamlTree(document), path: "", offset: document.range[0] };
    this.#attempt("", () => this.#read(new Fields(document.contents, place)));
  }

  result(): ParsedFile {
    const broken = this.#problems.some(({ severity }) => severity === "error");
    return {
      objects: broken ? [] : this.#objects,
      policies: [...this.#objects.filter(isPolicy), ...this.#closed],
      problems: this.#problems,
    };
  }

  #read(fields: Fields): void {
    const kind = fields.text("kind");
    const apiVersion = fields.text("apiVersion");
    if (kind === "List" && apiVersion === "v1") {
      for (const item of fields.maps("items")) this.#attempt("", () => this.#read(item));
      return;
    }
    const convert = CONVERTERS[`${apiVersion}/${kind}`];
    if (convert === undefined) {
      this.#unusedKind(fields, `${apiVersion} ${kind}`);
      return;
    }
    const name = describe(kind, fields);
    const failed = this.#attempt(name, () => {
      const object = convert(fields, (offset, message) =>
        this.#problem("warning", offset, { message, object: name }),
      );
      if (object !== undefined) this.#add(object, { name, offset: fields.offset });
    });
    if (failed === undefined) return;
    const object = closedObject(fields, { kind, reason: failed });
    const { line } = this.#lines.linePos(fields.offset);
    if (object !== undefined) this.#closed.push({ object, line });
  }

  #add(object: SourceObject, place: { name: string; offset: number }): void {
    const { line } = this.#lines.linePos(place.offset);
    const key = `${object.kind} ${objectKey(object)}`;
    const first = this.#seen.get(key);
    if (first !== undefined) {
      throw new FieldError(place.offset, `Cannot use ${key} twice: it stands in line ${first} too`);
    }
    this.#seen.set(key, line);
    this.#objects.push({ object, line });
  }

  /** Once a kind and file: a dump of a whole cluster holds hundreds of such objects. */
  #unusedKind(fields: Fields, kind: string): void {
    if (this.#unused.has(kind)) return;
    this.#unused.add(kind);
    const message = `Cannot use objects of kind ${kind}: want ${USED_KINDS}`;
    this.#problem("warning", fields.offsetOf("kind"), { message });
  }

  /** Why it failed, or undefined. */
  #attempt(object: string, work: () => void): string | undefined {
    try {
      work();
      return undefined;
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      this.#problem("error", error.offset, { message: error.message, object });
      return error.message;
    }
  }

  #problem(
    severity: SourceProblem["severity"],
    offset: number,
    about: { message: string; object?: string },
  ): void {
    const full = this.#problems.length >= MAX_PROBLEMS_A_FILE;
    const broken = this.#problems.some((problem) => problem.severity === "error");
    // The first error decides over the file, so it is always kept.
    if (full && (broken || severity === "warning")) return;
    const { line, col } = this.#lines.linePos(offset);
    const { message, object = "" } = about;
    this.#problems.push({ severity, file: this.#file, line, column: col, message, object });
  }
}

function isPolicy({ object }: PlacedObject): boolean {
  return POLICY_KINDS.some((kind) => kind === object.kind);
}

function describe(kind: string, fields: Fields): string {
  const meta = fields.map("metadata");
  const name = meta?.optionalText("name") ?? "?";
  if (WITHOUT_NAMESPACE.includes(kind)) return `${kind} ${name}`;
  return `${kind} ${meta?.optionalText("namespace") ?? "default"}/${name}`;
}
