// Dependencies point one way (DESIGN.md, "Rooms"). The table stands here as data, every edge that
// it forbids fails with the reason, and the data is compared with DESIGN.md so that neither drifts.
import { describe, expect, test } from "@jest/globals";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { handWritten, importsOf, readRepository, ROOT, type SourceFile } from "../sources.ts";

interface Room {
  /** Folders ("/" at the end) and files, as the first column of the table names them. */
  readonly folders: readonly string[];
  /** The last column of the table, word for word. */
  readonly mayImport: string;
  /** Path prefixes that the last column stands for, besides the room itself. */
  readonly allowed: readonly string[];
  /** Why nothing else: printed with a forbidden edge. */
  readonly reason: string;
}

/** `mesh/*` in the table: the rooms of mesh/ that are libraries. */
const MESH_LIBRARIES = [
  "core",
  "kvstore",
  "contexts",
  "kubernetes",
  "api",
  "operations",
  "drain",
  "connect",
].map((room) => `mesh/${room}/`);

const ROOMS: readonly Room[] = [
  {
    folders: ["mesh/core/"],
    mayImport: "`node:` only",
    allowed: [],
    reason: "the vocabulary is what everything else stands on; it knows nobody",
  },
  {
    folders: ["mesh/kvstore/"],
    mayImport: "`mesh/core`",
    allowed: ["mesh/core/"],
    reason: "the wire format must be readable without the programs that use it",
  },
  {
    folders: ["mesh/contexts/"],
    mayImport: "`mesh/core`",
    allowed: ["mesh/core/"],
    reason: "where a cluster's files stand does not depend on what reads them",
  },
  {
    folders: ["mesh/kubernetes/"],
    mayImport: "`mesh/core`",
    allowed: ["mesh/core/"],
    reason: "how a Kubernetes API is asked does not depend on what its objects mean to us",
  },
  {
    folders: ["mesh/api/"],
    mayImport: "`mesh/core`",
    allowed: ["mesh/core/"],
    reason: "an API that imports what it serves cannot be used by a client alone",
  },
  {
    folders: ["mesh/operations/"],
    mayImport: "`mesh/core`",
    allowed: ["mesh/core/"],
    reason: "what is said over NATS must be readable by whoever listens",
  },
  {
    folders: ["mesh/drill/"],
    mayImport: "`mesh/core`, `mesh/operations`",
    allowed: ["mesh/core/", "mesh/operations/"],
    reason: "a drill asks the mesh by its seams; it must run against a fake one too",
  },
  {
    folders: ["mesh/drain/"],
    mayImport: "`mesh/core`, `mesh/kvstore`",
    allowed: ["mesh/core/", "mesh/kvstore/"],
    reason: "what a drain means and costs is known before anybody can be asked about it",
  },
  {
    folders: ["mesh/connect/"],
    mayImport: "`mesh/*`, `pki`",
    allowed: [...MESH_LIBRARIES, "pki/"],
    reason: "connecting works on two clusters from outside; it must not need a daemon's insides",
  },
  {
    folders: ["mesh/install/"],
    mayImport: "`mesh/*`, `pki`",
    allowed: [...MESH_LIBRARIES, "pki/"],
    reason: "what is installed is known by its objects; the programs in them are images",
  },
  {
    folders: ["mesh/commands/", "mesh/main.ts"],
    mayImport: "all but the insides of `agent/` and `apiserver/`",
    allowed: ["mesh/", "pki/", "bpf/", "deploy/"],
    reason: "commands speak with the daemons through their APIs, stores and maps",
  },
  {
    folders: ["pki/"],
    mayImport: "`mesh/core`",
    allowed: ["mesh/core/"],
    reason: "certificates are values; who stores or uses them is not pki's business",
  },
  {
    folders: ["apiserver/"],
    mayImport: "`mesh/*`, `pki`",
    allowed: [...MESH_LIBRARIES, "mesh/drill/", "pki/"],
    reason: "the state plane must run where there is no datapath and no agent",
  },
  {
    folders: ["agent/"],
    mayImport: "`mesh/*`, `bpf`",
    allowed: [...MESH_LIBRARIES, "bpf/"],
    reason: "the agent learns of other clusters from its own etcd only, never from an apiserver",
  },
  {
    folders: ["bpf/"],
    mayImport: "`mesh/core`",
    allowed: ["mesh/core/"],
    reason: "the kernel's door holds mechanism; what is written through it is decided in agent/",
  },
  {
    folders: ["deploy/"],
    mayImport: "anything needed to start it",
    allowed: ["mesh/", "pki/", "apiserver/", "agent/", "bpf/"],
    reason: "what is deployed must not need the tests",
  },
  {
    folders: ["tests/"],
    mayImport: "everything",
    allowed: [""],
    reason: "tests may look at everything",
  },
];

/** Files beside the rooms, with what they may import; every main.ts may import them. */
const LEAVES: ReadonlyMap<string, readonly string[]> = new Map([
  ["mesh/terminal.ts", ["mesh/core/"]],
]);

/** Packages with one door, so that replacing one is a change in one room. */
const DOORS: readonly { name: string; door: string; reason: string }[] = [
  {
    name: "koffi",
    door: "bpf/lib",
    reason: "bpf/libbpf.ts and bpf/libc.ts declare the prototypes of one library each",
  },
  { name: "nats", door: "mesh/operations/", reason: "one room speaks with the operations plane" },
  { name: "etcd3", door: "mesh/kvstore/", reason: "the store is the seam to the state plane" },
  { name: "node-forge", door: "pki/", reason: "X.509 is built and read in one room" },
];

const files = readRepository();
const sources = handWritten(files);

describe("rooms", () => {
  test("are those of DESIGN.md's table, with the same permissions", () => {
    const table = parseRoomsTable(readFileSync(join(ROOT, "DESIGN.md"), "utf8"));
    const data = ROOMS.map(({ folders, mayImport }) => ({
      folders: folders.map((folder) => `\`${folder}\``).join(", "),
      mayImport,
    }));
    expect(data).toEqual(table.map(({ folders, mayImport }) => ({ folders, mayImport })));
  });

  test("hold every TypeScript file", () => {
    const homeless = sources.filter(({ path }) => allowedFrom(path) === undefined);
    expect(homeless.map(({ path }) => path)).toEqual([]);
  });

  test("import only what the table allows", () => {
    expect(sources.flatMap(forbiddenEdges)).toEqual([]);
  });

  test("import nothing from tests/, with the reason that what ships must not need them", () => {
    const edges = sources
      .filter(({ path }) => !path.startsWith("tests/"))
      .flatMap((file) =>
        importsOf(file)
          .filter(({ path }) => path?.startsWith("tests/"))
          .map(({ specifier }) => `${file.path} imports ${specifier}`),
      );
    expect(edges).toEqual([]);
  });
});

describe("imports", () => {
  test("name files that exist", () => {
    const known = new Set(files.map(({ path }) => path));
    const broken = sources.flatMap((file) =>
      importsOf(file)
        .filter(({ path }) => path !== undefined && !known.has(path))
        .map(({ specifier }) => `${file.path} imports ${specifier}, which is not there`),
    );
    expect(broken).toEqual([]);
  });

  test("make no cycle", () => {
    expect(findCycles(sources)).toEqual([]);
  });

  test("of packages with one door go through it", () => {
    const edges = sources
      .filter(({ path }) => !path.startsWith("tests/"))
      .flatMap((file) =>
        importsOf(file).flatMap(({ specifier }) =>
          DOORS.filter(({ name }) => specifier === name || specifier.startsWith(`${name}/`))
            .filter(({ door }) => !file.path.startsWith(door))
            .map(({ door, reason }) => `${file.path} imports ${specifier}; ${door}: ${reason}`),
        ),
      );
    expect(edges).toEqual([]);
  });

  test("name packages of package.json only", () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Record<
      "dependencies" | "devDependencies",
      Record<string, string>
    >;
    const runtime = Object.keys(manifest.dependencies);
    const all = [...runtime, ...Object.keys(manifest.devDependencies)];
    const unknown = sources.flatMap((file) =>
      importsOf(file)
        .filter(({ specifier, path }) => path === undefined && !specifier.startsWith("node:"))
        .filter(({ specifier }) => {
          const declared = file.path.startsWith("tests/") ? all : runtime;
          return !declared.some((name) => specifier === name || specifier.startsWith(`${name}/`));
        })
        .map(({ specifier }) => `${file.path} imports ${specifier}`),
    );
    expect(unknown).toEqual([]);
  });
});

/** Rows of the table under "## Rooms". */
function parseRoomsTable(design: string): { folders: string; mayImport: string }[] {
  const section = design.split("## Rooms")[1]?.split("\n## ")[0] ?? "";
  return section
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .map((cells) => ({ folders: cells[1] ?? "", mayImport: cells[3]?.split(";")[0] ?? "" }));
}

function roomOf(path: string): Room | undefined {
  return ROOMS.find(({ folders }) => folders.some((folder) => isIn(path, folder)));
}

function isIn(path: string, folder: string): boolean {
  return folder.endsWith("/") || folder === "" ? path.startsWith(folder) : path === folder;
}

/** Prefixes that a file may import from; undefined for a file that belongs to no room. */
function allowedFrom(path: string): { allowed: readonly string[]; reason: string } | undefined {
  const leaf = LEAVES.get(path);
  if (leaf !== undefined) return { allowed: leaf, reason: "it is a leaf" };
  const room = roomOf(path);
  if (room === undefined) return undefined;
  const leaves = path.endsWith("/main.ts") ? LEAVES.keys() : [];
  return { allowed: [...room.allowed, ...room.folders, ...leaves], reason: room.reason };
}

function forbiddenEdges(file: SourceFile): string[] {
  const rule = allowedFrom(file.path);
  if (rule === undefined) return [];
  return importsOf(file)
    .filter(({ path }) => path !== undefined && !rule.allowed.some((prefix) => isIn(path, prefix)))
    .map(({ path }) => `${file.path} must not import ${path}: ${rule.reason}`);
}

/** Strongly connected files, one line a cycle. Type imports count: they too say who needs whom. */
function findCycles(all: readonly SourceFile[]): string[] {
  const edges = new Map(
    all.map((file) => [
      file.path,
      importsOf(file).flatMap(({ path }) => (path === undefined ? [] : [path])),
    ]),
  );
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      cycles.push([...trail.slice(start), path].join(" → "));
      return;
    }
    if (done.has(path)) return;
    for (const next of edges.get(path) ?? []) visit(next, [...trail, path]);
    done.add(path);
  };
  for (const path of edges.keys()) visit(path, []);
  return cycles;
}
