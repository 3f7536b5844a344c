// Reports of drills, where they are kept: files under HOME/drills, and the stream DRILLS of a
// cluster's operations plane, from which other machines have them.
import { join } from "node:path";
import { isMeshError, messageFromError } from "../core/errors.ts";
import type { DrillReport } from "../drill/report.ts";
import { createReportStore, parseReport, type ReportStore } from "../drill/store.ts";
import type { OperationsConnection } from "../operations/connection.ts";
import { DRILLS_STREAM } from "../operations/streams.ts";
import { drillFilter, drillSubject } from "../operations/subjects.ts";
import type { CommandContext } from "./command.ts";

const STORE_TIMEOUT_MS = 5_000;

export function openReports({ home }: Pick<CommandContext, "home">): ReportStore {
  return createReportStore(join(home, "drills"));
}

/** Returns what went wrong with the stream, if anything: the file is what counts. */
export async function publishReport(
  connection: OperationsConnection,
  report: DrillReport,
  options: { readonly cluster: string; readonly ended: boolean; readonly signal: AbortSignal },
): Promise<string | undefined> {
  const { cluster, ended, signal } = options;
  const message = {
    subject: drillSubject(cluster, report.id),
    data: JSON.stringify(report),
    id: `${report.id}-${ended ? "ended" : `begun-${report.runs.length}`}`,
  };
  try {
    await connection.store(message, { timeoutMs: STORE_TIMEOUT_MS, signal });
    return undefined;
  } catch (error) {
    return messageFromError(error);
  }
}

/** Takes over what the stream holds and the files do not, or hold only the beginning of. */
export async function fetchReports(
  connection: OperationsConnection,
  reports: ReportStore,
  signal: AbortSignal,
): Promise<void> {
  const known = new Map((await reports.list()).map((report) => [report.id, report]));
  const messages = await connection.read(DRILLS_STREAM.name, { filter: drillFilter() }, signal);
  for (const { subject, data } of messages) {
    let report: DrillReport;
    try {
      report = parseReport(data.toString("utf8"), subject);
    } catch (error) {
      if (isMeshError(error, "invalid_argument")) continue; // Another version's.
      throw error;
    }
    const own = known.get(report.id);
    if (own !== undefined && own.verdict !== "INTERRUPTED") continue;
    await reports.save(report);
    known.set(report.id, report);
  }
}
