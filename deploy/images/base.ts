// The Debian root that the image stands on, as a tar file: made once with debootstrap from the
// mirrors that this machine uses anyway, then kept until its recipe changes.
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { commandOutput } from "../../mesh/core/child-process.ts";
import { mirrorsFromSources, transportSettings } from "./apt-sources.ts";
import { runStep } from "./run-step.ts";

/** Debian 12: the libc that the project's Node and eBPF tools are tested with. */
const RELEASE = "bookworm";
const RECIPE = ["make-base.sh", "install-packages.sh", "apt-packages.txt"];
const HASH_DIGITS = 16;
const APT_DIRECTORY = "/etc/apt";

/** What decides the base's contents, besides what Debian has published by then. */
export async function baseHash(recipeDirectory: string): Promise<string> {
  const hash = createHash("sha256").update(`${RELEASE} ${process.arch}\n`);
  for (const name of RECIPE) hash.update(await readFile(join(recipeDirectory, name)));
  return hash.digest("hex").slice(0, HASH_DIGITS);
}

/** Writes the tar file; needs root, debootstrap and a mirror. */
export async function makeBase(
  options: {
    readonly recipeDirectory: string;
    readonly tar: string;
    /** An empty folder to work in; the caller removes it. */
    readonly work: string;
    readonly logFile: string;
  },
  signal: AbortSignal,
): Promise<void> {
  const { recipeDirectory, tar, work, logFile } = options;
  const { mirror, sourcesList } = mirrorsFromSources(await readSources(), RELEASE);
  const apt = join(work, "apt");
  await mkdir(apt);
  await writeFile(join(apt, "sources.list"), sourcesList);
  const dump = await commandOutput({ argv: ["apt-config", "dump", "Acquire"] }, signal);
  await writeFile(join(apt, "mirrors.conf"), transportSettings(dump));
  const script = join(recipeDirectory, "make-base.sh");
  const packages = join(recipeDirectory, "apt-packages.txt");
  const argv = ["sh", script, join(work, "root"), RELEASE, mirror, apt, packages, tar];
  await runStep({ purpose: "make a Debian root", argv, logFile }, signal);
}

async function readSources(): Promise<{ name: string; text: string }[]> {
  const directory = join(APT_DIRECTORY, "sources.list.d");
  const inDirectory = (await readdir(directory)).filter((name) => /\.(list|sources)$/.test(name));
  const paths = [
    join(APT_DIRECTORY, "sources.list"),
    ...inDirectory.sort().map((name) => join(directory, name)),
  ];
  return Promise.all(
    paths.map(async (name) => ({
      name,
      // sources.list itself is often missing where sources.list.d is used.
      text: await readFile(name, "utf8").catch(() => ""),
    })),
  );
}
