// A directory of Kubernetes YAML as the cluster's state: which files there are, when one has
// come to rest, and what is in force while one is broken. Files directly in the directory count
// (.yaml, .yml, .json; symbolic links are followed); hidden ones, editors' copies and
// subdirectories do not.
//
//   event or rescan ─► stat all ─► changed? ─► same at two looks SETTLE_MS apart ─► parse
//                                                 │ good: in force, kept as last good
//                                                 └ broken: reported, last good stays in force
//
// A directory that cannot be read is a problem, never the deletion of everything. Neither is an
// empty one in its place (a file system that is not mounted), nor one that is being filled again:
// what another directory lacks is believed to be deleted once that has come to rest for long.
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../../../mesh/core/clock.ts";
import { isMeshError, messageFromError } from "../../../mesh/core/errors.ts";
import type { Logger } from "../../../mesh/core/logger.ts";
import { createBell, watchDirectory } from "../../directory-watch.ts";
import {
  SOURCE_KINDS,
  type SourceProblem,
  type SourceStatus,
  type WritableSource,
} from "../objects.ts";
import type { LastGood } from "./last-good.ts";
import { createManifestMerge } from "./merge.ts";
import type { ParsedFile } from "./parse-file.ts";
import { parseManifest, type ParseRequest } from "./parse-thread.ts";

export interface ManifestSourceOptions {
  readonly directory: string;
  readonly source: WritableSource;
  readonly lastGood: LastGood;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface ManifestSource {
  run(signal: AbortSignal): Promise<void>;
  status(): SourceStatus;
}

/** How long a file must look the same before it is believed: longer than an editor takes to save. */
const SETTLE_MS = 100;
/** Finds what the kernel's notifications miss (network file systems, an overflowed queue). */
const RESCAN_MS = 10_000;
/** Whatever kept a file from being read (descriptors, memory, a disk) may pass; before the rescan. */
const RETRY_MS = RESCAN_MS / 2;
/** How long another directory must look the same before it is believed: longer than copies pause. */
const REPLACED_SETTLE_MS = 10_000;
/** Some 30,000 pods. Parsing takes a second a megabyte or more, and memory: split what is larger. */
const MAX_FILE_BYTES = 8 * 1024 * 1024;
const MANIFEST_NAME = /^[^.#].*\.(ya?ml|json)$/;

interface KnownFile {
  /** Which version of the file was last looked at. */
  readonly fingerprint: string;
  readonly problems: readonly SourceProblem[];
  /** A version of it that is whole is in force. */
  readonly isGood: boolean;
  /** When to look again at one whose contents could not be read, although it may not change. */
  readonly retryAtMs: number | undefined;
}

export function createManifestSource(options: ManifestSourceOptions): ManifestSource {
  const { directory, source, lastGood, clock, log } = options;
  const merge = createManifestMerge(source);
  const known = new Map<string, KnownFile>();
  /** Changes seen once: file → its fingerprint, or "" for one that is gone. */
  const unsettled = new Map<string, string>();
  const replaced = createReplacement(clock);
  let directoryProblem: SourceProblem | undefined;
  let synced = false;

  /** Returns whether something has changed that has not come to rest. */
  async function scan(signal: AbortSignal): Promise<boolean> {
    const looked = await lookAt(directory).catch(messageFromError);
    if (typeof looked === "string") {
      directoryFailed(`Cannot read manifests directory "${directory}": ${looked}`);
      return false;
    }
    const { identity, found } = looked;
    const another = replaced.look(identity, found);
    if (found.size === 0 && (another || (!synced && (await lastGood.files()).length > 0))) {
      directoryFailed(
        `Cannot believe manifests directory "${directory}": it is empty and was not emptied here; ` +
          "what it held stays in force until there is a manifest in it",
      );
      return false;
    }
    directoryProblem = undefined;
    for (const file of new Set([...known.keys(), ...found.keys()])) {
      const now = found.get(file) ?? "";
      if (now === (known.get(file)?.fingerprint ?? "") && !isRetryDue(file)) {
        unsettled.delete(file);
      } else if (now === "" && another) {
        // Held back until the directory is believed.
      } else if (!synced || unsettled.get(file) === now) {
        unsettled.delete(file);
        await (now === "" ? removeFile(file) : loadFile({ file, fingerprint: now }, signal));
      } else {
        unsettled.set(file, now);
      }
    }
    if (!synced) await finishFirstScan(found);
    return unsettled.size > 0 || another;
  }

  function isRetryDue(file: string): boolean {
    const retryAtMs = known.get(file)?.retryAtMs;
    return retryAtMs !== undefined && clock.monotonicMs() >= retryAtMs;
  }

  async function finishFirstScan(found: ReadonlyMap<string, string>): Promise<void> {
    for (const file of await lastGood.files()) {
      if (!found.has(file)) await lastGood.remove(file);
    }
    for (const kind of SOURCE_KINDS) source[kind].markSynced();
    synced = true;
    log.info("Manifests are loaded", { directory, files: known.size });
  }

  async function loadFile(
    { file, fingerprint }: { file: string; fingerprint: string },
    signal: AbortSignal,
  ): Promise<void> {
    const { text, problem, again = false } = await readManifest(join(directory, file));
    const parsed =
      text === undefined ? unreadable(file, problem) : await parse({ file, text }, signal);
    const broken = parsed.problems.some(({ severity }) => severity === "error");
    const before = known.get(file);
    let isGood = before?.isGood ?? false;
    const retryAtMs = again ? clock.monotonicMs() + RETRY_MS : undefined;
    if (!broken && text !== undefined) {
      merge.setFile(file, parsed.objects);
      isGood = true;
      await lastGood.write(file, text);
    } else if (!isGood) {
      const good = before === undefined ? await lastGood.read(file) : undefined;
      isGood = good !== undefined;
      const kept = good === undefined ? undefined : await parse({ file, text: good }, signal);
      // Nothing better is known of it: then at least its policies are in force.
      merge.setFile(file, kept?.objects ?? parsed.policies);
    }
    // Last: a file whose last good text could not be kept is loaded again.
    known.set(file, { fingerprint, problems: parsed.problems, isGood, retryAtMs });
    for (const found of parsed.problems) report(found);
  }

  async function removeFile(file: string): Promise<void> {
    merge.setFile(file, []);
    await lastGood.remove(file);
    known.delete(file);
  }

  /** The disk or this process is short of something; what is in force stays, and it is tried again. */
  function scanFailed(error: unknown): false {
    if (!isSystemError(error)) throw error;
    directoryFailed(`Cannot follow manifests directory "${directory}": ${error.message}`);
    return false; // The next event or rescan tries again; sooner would only fill the log.
  }

  function directoryFailed(message: string): void {
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
          const restless = await scan(signal).catch(scanFailed);
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

function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return typeof error === "object" && error !== null && "syscall" in error;
}

const NOWHERE = { line: 0, column: 0, object: "" };

function unreadable(file: string, reason: string): ParsedFile {
  const message = `Cannot read "${file}": ${reason}`;
  return {
    objects: [],
    policies: [],
    problems: [{ ...NOWHERE, severity: "error", file, message }],
  };
}

/** `identity`: another one after a directory was moved away, made anew, mounted or unmounted. */
async function lookAt(
  directory: string,
): Promise<{ identity: string; found: Map<string, string> }> {
  const { dev, ino } = await stat(directory, { bigint: true });
  return { identity: `${dev}:${ino}`, found: await fingerprints(directory) };
}

/** A file that is too much for its thread is a problem of that file, like any other. */
async function parse(request: ParseRequest, signal: AbortSignal): Promise<ParsedFile> {
  try {
    return await parseManifest(request, signal);
  } catch (error) {
    if (!isMeshError(error, "resource_exhausted")) throw error;
    return unreadable(request.file, messageFromError(error));
  }
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

interface Replacement {
  /** Whether the directory is another one than what was believed so far. */
  look(identity: string, files: ReadonlyMap<string, string>): boolean;
}

function createReplacement(clock: Clock): Replacement {
  let believed: string | undefined;
  let looks = "";
  let sinceMs = 0;
  return {
    look(identity, files) {
      believed ??= identity;
      const now = JSON.stringify([identity, ...files]);
      if (now !== looks) sinceMs = clock.monotonicMs();
      looks = now;
      const rested = clock.monotonicMs() - sinceMs >= REPLACED_SETTLE_MS;
      if (rested && files.size > 0) believed = identity;
      return identity !== believed;
    },
  };
}

async function readManifest(
  path: string,
): Promise<{ text?: string; problem: string; again?: boolean }> {
  try {
    const { size } = await stat(path);
    if (size > MAX_FILE_BYTES) {
      return { problem: `it has ${size} bytes, want at most ${MAX_FILE_BYTES}: split it` };
    }
    return { text: await readFile(path, "utf8"), problem: "" };
  } catch (error) {
    return { problem: messageFromError(error), again: true };
  }
}
