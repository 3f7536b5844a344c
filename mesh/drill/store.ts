// Where reports stay: one JSON file a drill in a directory. Others (JetStream) may hold copies.
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { MeshError } from "../core/errors.ts";
import { REPORT_VERSION, type DrillReport } from "./report.ts";

export interface ReportStore {
  /** In place of what has the same id. */
  save(report: DrillReport): Promise<void>;
  /** All that can be read, oldest first; what cannot be read is left out. */
  list(): Promise<readonly DrillReport[]>;
  /** By id, or the latest of a name; "latest" for the latest of all. Throws `not_found`. */
  find(wanted: string): Promise<DrillReport>;
}

const ID = /^[a-z0-9][-a-z0-9]{0,62}$/;

export function createReportStore(directory: string): ReportStore {
  async function list(): Promise<readonly DrillReport[]> {
    const files = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw error;
    });
    const reports: DrillReport[] = [];
    for (const file of files.filter((name) => name.endsWith(".json"))) {
      try {
        reports.push(parseReport(await readFile(join(directory, file), "utf8"), file));
      } catch (error) {
        if (!(error instanceof MeshError)) throw error;
        // Another version's, or half of one: it is no reason to show nothing.
      }
    }
    return reports.sort((a, b) => startOf(a) - startOf(b) || (a.id < b.id ? -1 : 1));
  }

  return {
    list,
    save: async (report) => {
      if (!ID.test(report.id)) {
        throw new MeshError("invalid_argument", `Cannot save the drill "${report.id}": its id`);
      }
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const path = join(directory, `${report.id}.json`);
      await writeFile(`${path}.new`, `${JSON.stringify(report, null, 1)}\n`, { mode: 0o600 });
      await rename(`${path}.new`, path);
    },
    find: async (wanted) => {
      const all = await list();
      const found = all.findLast(
        ({ id, name }) => wanted === "latest" || id === wanted || name === wanted,
      );
      if (found !== undefined) return found;
      const names = all.slice(-5).map(({ id }) => id);
      throw new MeshError("not_found", `Cannot find drill "${wanted}"`, {
        hint: names.length === 0 ? "none has been run yet" : `the latest: ${names.join(", ")}`,
      });
    },
  };
}

/** Throws `invalid_argument` for what is no report of a version that is known. */
export function parseReport(text: string, what: string): DrillReport {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MeshError("invalid_argument", `Cannot read "${what}" as JSON`, { cause });
  }
  const fields = (value ?? {}) as Partial<DrillReport>;
  if (fields.version !== REPORT_VERSION) {
    const version = JSON.stringify(fields.version) ?? "none";
    throw new MeshError(
      "invalid_argument",
      `Cannot read "${what}": its version is ${version}, want ${REPORT_VERSION}`,
    );
  }
  if (typeof fields.id !== "string" || !Array.isArray(fields.runs)) {
    throw new MeshError("invalid_argument", `Cannot read "${what}": it is no report of a drill`);
  }
  return fields as DrillReport;
}

/** When its first run began; ids end with the same time for those without a run. */
export function startOf(report: DrillReport): number {
  const [first] = report.runs;
  if (first !== undefined) return first.startedAtMs;
  const [, year, month, day, hour, minute, second] =
    /-(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)-[0-9a-f]{4}$/.exec(report.id) ?? [];
  if (year === undefined) return 0;
  return Date.UTC(
    +year,
    Number(month) - 1,
    Number(day),
    Number(hour),
    Number(minute),
    Number(second),
  );
}
