// The images as archives that any container runtime imports: one with every program of Tombolo,
// built by the Dockerfile on a Debian root of our own, and the lab's small one. Both are named by
// the hash of what is in them, so asking again costs a look at the files.
import { chmod, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { commandOutput } from "../../mesh/core/child-process.ts";
import type { Clock } from "../../mesh/core/clock.ts";
import { MeshError } from "../../mesh/core/errors.ts";
import { createArchiveStore, type ArchiveStore } from "./archive-store.ts";
import { baseHash, makeBase } from "./base.ts";
import { hashContext, listContext, stageContext } from "./context.ts";
import { makeLabImage } from "./lab-image.ts";
import { runStep } from "./run-step.ts";

export interface Image {
  /** Path of a docker-archive. */
  readonly archive: string;
  /** The tag in it, "localhost/tombolo:HASH". */
  readonly name: string;
}

export interface ImageSeams {
  /** One line of progress at a time, without a line break. */
  readonly say: (line: string) => void;
  readonly clock: Clock;
  /** The work tree; this one by default. */
  readonly root?: string;
  /** Where archives are kept; `build/images` of the work tree by default. */
  readonly directory?: string;
}

const PROJECT_ROOT = fileURLToPath(new URL("../..", import.meta.url));
const REPOSITORY = "localhost/tombolo";
const BASE_NAME = "localhost/tombolo-base";
const HASH_DIGITS = 16;
/** This one and the one before it, which something may still be importing. */
const KEPT_ARCHIVES = 2;
const BUSYBOX = "/bin/busybox";

/** The image with every program; built if its archive is not there. Needs root to build. */
export async function ensureImage(seams: ImageSeams, signal: AbortSignal): Promise<Image> {
  const { root, recipeDirectory, store, say } = open(seams, signal);
  const base = await baseHash(recipeDirectory);
  const entries = await listContext(root, signal);
  const hash = (await hashContext(entries, { recipe: [base], signal })).slice(0, HASH_DIGITS);
  const name = `${REPOSITORY}:${hash}`;
  const file = `tombolo-${hash}.tar`;
  const found = await store.find(file);
  if (found !== undefined) return { archive: found, name };

  requireRoot();
  const logFile = await freshLog(seams);
  const baseStore = await store.ensure(`base-${base}`, async (path, work) => {
    say("making the Debian root that the image stands on; this happens once, in about a minute");
    const tar = join(work, "base.tar");
    await makeBase({ recipeDirectory, tar, work, logFile }, signal);
    say("importing it");
    await importBase({ tar, baseStore: path, work, logFile }, signal);
  });
  const archive = await store.ensure(file, async (path, work) => {
    say(`staging ${entries.length} files`);
    const context = join(work, "context");
    await stageContext(entries, context, signal);
    await buildArchive({ baseStore, context, name, path, work, logFile, say }, signal);
  });
  await store.keepNewest("tombolo-", KEPT_ARCHIVES);
  await store.keepNewest("base-", 1);
  say(`${name} is ${await megabytes(archive)} MB: ${archive}`);
  return { archive, name };
}

/** The lab's image: sandbox of its pods, and a shell, an HTTP server and clients to run in them. */
export async function ensureLabImage(seams: ImageSeams, signal: AbortSignal): Promise<Image> {
  const { store } = open(seams, signal);
  const content = await readFile(BUSYBOX).catch((cause: unknown) => {
    throw new MeshError("not_found", `Cannot make the lab's image: ${BUSYBOX} is missing`, {
      cause,
      hint: "install Debian's package busybox-static",
    });
  });
  const list = await commandOutput({ argv: [BUSYBOX, "--list"] }, signal);
  const image = makeLabImage({ content, list, arch: process.arch });
  const archive = await store.ensure(`tombolo-lab-${image.hash}.tar`, (path) =>
    writeFile(path, image.archive),
  );
  await store.keepNewest("tombolo-lab-", KEPT_ARCHIVES);
  return { archive, name: image.name };
}

/** Writes the build context for another builder, into a directory that is made. */
export async function writeContext(
  target: string,
  seams: ImageSeams,
  signal: AbortSignal,
): Promise<void> {
  const { root, say } = open(seams, signal);
  const entries = await listContext(root, signal);
  await mkdir(target);
  await stageContext(entries, target, signal);
  say(`${entries.length} files are in ${target}`);
}

function open(
  seams: ImageSeams,
  signal: AbortSignal,
): { root: string; recipeDirectory: string; store: ArchiveStore; say: ImageSeams["say"] } {
  const root = seams.root ?? PROJECT_ROOT;
  const { say, clock } = seams;
  const store = createArchiveStore({
    directory: archiveDirectory(seams),
    clock,
    signal,
    onWait: () => say("waiting for another process that builds an image"),
  });
  return { root, recipeDirectory: join(root, "deploy/images"), store, say };
}

function archiveDirectory({ root = PROJECT_ROOT, directory }: ImageSeams): string {
  return directory ?? join(root, "build/images");
}

interface Build {
  /** A container storage that holds the base, to read. */
  readonly baseStore: string;
  readonly context: string;
  readonly name: string;
  readonly path: string;
  readonly work: string;
  readonly logFile: string;
  readonly say: ImageSeams["say"];
}

/** Runs the Dockerfile; its only layer goes straight into the archive. */
async function buildArchive(build: Build, signal: AbortSignal): Promise<void> {
  const { baseStore, context, name, path, work, logFile, say } = build;
  const options = [`--storage-opt=vfs.imagestore=${baseStore}`];
  const buildah = await buildahIn(join(work, "storage"), { work, options });
  say("running the Dockerfile");
  const argv = [
    ...buildah,
    "bud",
    "--isolation=chroot",
    "--pull-never",
    "--layers=false",
    "--squash",
    `--build-arg=BASE=${BASE_NAME}`,
    `--tag=docker-archive:${path}:${name}`,
    context,
  ];
  await runStep({ purpose: "run the Dockerfile", argv, logFile }, signal);
  await chmod(path, 0o644);
}

/** Makes a container storage of a root's tar file, which builds then read. */
async function importBase(
  base: Pick<Build, "baseStore" | "work" | "logFile"> & { readonly tar: string },
  signal: AbortSignal,
): Promise<void> {
  const buildah = await buildahIn(base.baseStore, { work: base.work, options: [] });
  const container = "base";
  for (const words of [
    ["from", "--name", container, "scratch"],
    ["add", container, base.tar, "/"],
    ["commit", "--rm", container, BASE_NAME],
  ]) {
    const argv = [...buildah, ...words];
    await runStep({ purpose: "import the Debian root", argv, logFile: base.logFile }, signal);
  }
}

/** The words that run buildah on a storage of our own, never on the user's. */
async function buildahIn(
  storage: string,
  { work, options }: { readonly work: string; readonly options: readonly string[] },
): Promise<string[]> {
  const temporary = join(work, "tmp");
  await mkdir(temporary, { recursive: true });
  return [
    "env",
    `TMPDIR=${temporary}`,
    "buildah",
    "--storage-driver=vfs",
    `--root=${storage}`,
    `--runroot=${join(work, "run")}`,
    ...options,
  ];
}

/** The log of the last build, begun anew. */
async function freshLog(seams: ImageSeams): Promise<string> {
  const directory = archiveDirectory(seams);
  await mkdir(directory, { recursive: true });
  const logFile = join(directory, "build.log");
  await rm(logFile, { force: true });
  return logFile;
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return;
  throw new MeshError("permission_denied", "Cannot build the image: that needs root", {
    hint: "`npm run image -- --context DIRECTORY` stages it for a builder of your own",
  });
}

async function megabytes(path: string): Promise<string> {
  return ((await stat(path)).size / 1e6).toFixed(0);
}
