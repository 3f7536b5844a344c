// Asking somebody who may be gone: drills go on without answers that they can do without.
import { isMeshError } from "../core/errors.ts";
import type { AnswerTo, Question } from "../operations/questions.ts";
import type { DrillMesh, Place } from "./drill-mesh.ts";

/** Undefined when nobody answers; what else goes wrong is thrown. */
export async function askQuietly<Asked extends Question>(
  mesh: DrillMesh,
  place: Place,
  question: Asked,
  signal: AbortSignal,
): Promise<AnswerTo<Asked> | undefined> {
  try {
    return await mesh.ask(place, question, signal);
  } catch (error) {
    if (isMeshError(error, "unavailable") || isMeshError(error, "deadline_exceeded")) {
      return undefined;
    }
    throw error;
  }
}
