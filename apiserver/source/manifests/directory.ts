// A directory of Kubernetes YAML as the cluster's state: which files there are, when one has
// come to rest, and what is in force while one is broken. Files directly in the directory count
// (.yaml, .yml, .json; symbolic links are followed); hidden ones, editors' copies and
// subdirectories do not.
//
//   event or rescan ─► stat all ─► changed? ─► same at two looks SETTLE_MS apart ─► parse
//                                                 │ good: in force, kept as last good
//                                                 └ broken: reported, last good stays in force
//
// A directory that cannot be read is a problem, never the deletion of everything.
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../../mesh/core/clock.ts";
import { messageFromError } from "../../../mesh/core/errors.ts";
import type { Logger } from "../../../mesh/core/logger.ts";
import { createBell, watchDirectory } from "../../directory-watch.ts";
import { SOURCE_KINDS, type SourceProblem, type WritableSource } from "../objects.ts";
import type { LastGood } from "./last-good.ts";
import { createManifestMerge } from "./merge.ts";
import { parseManifestFile, type ParsedFile } from "./parse-file.ts";

export interface ManifestSourceOptions {
  readonly directory: string;
  readonly source: WritableSource;
  readonly lastGood: LastGood;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface ManifestSourceStatus {
  readonly files: number;
  readonly problems: readonly SourceProblem[];
}

export interface ManifestSource {
  run(signal: AbortSignal): Promise<void>;
  status(): ManifestSourceStatus;
}

/** How long a file must look the same before it is believed: longer than an editor takes to save. */
const SETTLE_MS = 100;
/** Finds what the kernel's notifications miss (network file systems, an overflowed queue). */
const RESCAN_MS = 10_000;
/** Some 30,000 pods. Parsing holds the process for a second a megabyte or more: split what is larger. */
const MAX_FILE_BYTES = 8 * 1024 * 1024;
const MANIFEST_NAME = /^[^.#].*\.(ya?ml|json)$/;

interface KnownFile {
  /** Which version of the file was last looked at. */
  readonly fingerprint: string;
  readonly problems: readonly SourceProblem[];
}

export function createManifestSource(options: ManifestSourceOptions): ManifestSource {
  const { directory, source, lastGood, clock, log } = options;
  const merge = createManifestMerge(source);
  const known = new Map<string, KnownFile>();
  /** Changes seen once: file → its fingerprint, or "" for one that is gone. */
  const unsettled = new Map<string, string>();
  let directoryProblem: SourceProblem | undefined;
  let synced = false;

  /** Returns whether something has changed that has not come to rest. */
  async function scan(): Promise<boolean> {
    const found = await fingerprints(directory).catch(messageFromError);
    if (typeof found === "string") {
      directoryFailed(found);
      return false;
    }
    directoryProblem = undefined;
    for (const file of new Set([...known.keys(), ...found.keys()])) {
      const now = found.get(file) ?? "";
      if (now === (known.get(file)?.fingerprint ?? "")) {
        unsettled.delete(file);
      } else if (!synced || unsettled.get(file) === now) {
        unsettled.delete(file);
        await (now === "" ? removeFile(file) : loadFile(file, now));
      } else {
        unsettled.set(file, now);
      }
    }
    if (!synced) await finishFirstScan(found);
    return unsettled.size > 0;
  }

  async function finishFirstScan(found: ReadonlyMap<string, string>): Promise<void> {
    for (const file of await lastGood.files()) {
      if (!found.has(file)) await lastGood.remove(file);
    }
    for (const kind of SOURCE_KINDS) source[kind].markSynced();
    synced = true;
    log.info("Manifests are loaded", { directory, files: known.size });
  }

  async function loadFile(file: string, fingerprint: string): Promise<void> {
    const { text, problem } = await readManifest(join(directory, file));
    const parsed = text === undefined ? unreadable(file, problem) : parseManifestFile(file, text);
    const broken = parsed.problems.some(({ severity }) => severity === "error");
    const first = !known.has(file);
    known.set(file, { fingerprint, problems: parsed.problems });
    if (!broken && text !== undefined) {
      merge.setFile(file, parsed.objects);
      await lastGood.write(file, text);
    } else if (first) {
      const good = await lastGood.read(file);
      if (good !== undefined) merge.setFile(file, parseManifestFile(file, good).objects);
    }
    for (const found of parsed.problems) report(found);
  }

  async function removeFile(file: string): Promise<void> {
    known.delete(file);
    merge.setFile(file, []);
    await lastGood.remove(file);
  }

  function directoryFailed(reason: string): void {
    const message = `Cannot read manifests directory "${directory}": ${reason}`;
    if (directoryProblem?.message === message) return;
    directoryProblem = { ...NOWHERE, severity: "error", file: "", message };
    report(directoryProblem);
  }

  function report({ severity, ...problem }: SourceProblem): void {
    if (severity === "error") log.error("Manifest is broken", problem);
    else log.warn("Manifest is questionable", problem);
  }

  return {
    async run(signal) {
      const bell = createBell();
      const watching = watchDirectory({ directory, bell, clock }, signal);
      try {
        while (!signal.aborted) {
          const restless = await scan();
          // Without a pause a stream of events would keep the disk busy with stat calls.
          await clock.sleep(SETTLE_MS, signal);
          if (!restless) await bell.wait(RESCAN_MS, { clock, signal });
        }
      } finally {
        await watching;
      }
    },
    status: () => ({
      files: known.size,
      problems: [
        ...(directoryProblem === undefined ? [] : [directoryProblem]),
        ...[...known.values()].flatMap(({ problems }) => problems),
        ...merge.duplicates(),
      ],
    }),
  };
}

const NOWHERE = { line: 0, column: 0, object: "" };

function unreadable(file: string, reason: string): ParsedFile {
  const message = `Cannot read "${file}": ${reason}`;
  return { objects: [], problems: [{ ...NOWHERE, severity: "error", file, message }] };
}

/** File name → what changes whenever its contents do. */
async function fingerprints(directory: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const name of (await readdir(directory)).sort()) {
    if (!MANIFEST_NAME.test(name)) continue;
    // A file that goes away between the two calls is gone; the next scan confirms it.
    const info = await stat(join(directory, name), { bigint: true }).catch(() => undefined);
    if (info?.isFile()) found.set(name, `${info.ino}:${info.size}:${info.mtimeNs}`);
  }
  return found;
}

async function readManifest(path: string): Promise<{ text?: string; problem: string }> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) {
      return { problem: `it has ${size} bytes, want at most ${MAX_FILE_BYTES}: split it` };
    }
    return { text: await readFile(path, "utf8"), problem: "" };
  } catch (error) {
    return { problem: messageFromError(error) };
  }
}
