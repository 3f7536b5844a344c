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
  const baseTar = await store.ensure(`base-${base}.tar`, async (tar, work) => {
    say("making the Debian root that the image stands on; this happens once, in about a minute");
    await makeBase({ recipeDirectory, tar, work, logFile }, signal);
  });
  const archive = await store.ensure(file, async (path, work) => {
    say(`staging ${entries.length} files`);
    const context = join(work, "context");
    await stageContext(entries, context, signal);
    await buildArchive({ baseTar, context, name, path, work, logFile, say }, signal);
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
  readonly baseTar: string;
  readonly context: string;
  readonly name: string;
  readonly path: string;
  readonly work: string;
  readonly logFile: string;
  readonly say: ImageSeams["say"];
}

/** Runs the Dockerfile with a storage of its own inside the work folder. */
async function buildArchive(build: Build, signal: AbortSignal): Promise<void> {
  const { baseTar, context, name, path, work, logFile, say } = build;
  const temporary = join(work, "tmp");
  await mkdir(temporary);
  const storage = ["--root", join(work, "storage"), "--runroot", join(work, "run")];
  const buildah = ["env", `TMPDIR=${temporary}`, "buildah", "--storage-driver", "vfs", ...storage];
  const step = async (purpose: string, words: readonly string[]): Promise<void> => {
    say(purpose);
    await runStep({ purpose, argv: [...buildah, ...words], logFile }, signal);
  };
  await step("import the Debian root", ["from", "--name", "base", "scratch"]);
  await step("unpack the Debian root", ["add", "base", baseTar, "/"]);
  await step("commit the Debian root", ["commit", "--rm", "base", BASE_NAME]);
  await step("run the Dockerfile", [
    "bud",
    "--isolation=chroot",
    "--pull-never",
    "--layers=false",
    "--squash",
    `--build-arg=BASE=${BASE_NAME}`,
    `--tag=${name}`,
    context,
  ]);
  await step("write the archive", ["push", name, `docker-archive:${path}:${name}`]);
  await chmod(path, 0o644);
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
