// The kill switch: every node of every cluster that is reached lifts every fault, and the locks go,
// which tells the coordinator, wherever it runs.
import { askQuietly } from "./ask-quietly.ts";
import { APISERVER, placeName, type DrillMesh, type Place } from "./drill-mesh.ts";
import { releaseLocks } from "./locks.ts";

export interface Stopped {
  readonly lifted: readonly string[];
  /** There a fault ends by itself within its TTL. */
  readonly silent: readonly string[];
}

export async function stopDrills(mesh: DrillMesh, signal: AbortSignal): Promise<Stopped> {
  const places = await Promise.all(
    mesh.clusters.map(async (cluster): Promise<Place[]> => {
      const apiserver = { cluster, node: APISERVER };
      const hello = await askQuietly(mesh, apiserver, { ask: "hello" }, signal);
      return [apiserver, ...(hello?.nodes ?? []).map((node) => ({ cluster, node }))];
    }),
  );
  const lifted: string[] = [];
  const silent: string[] = [];
  await Promise.all(
    places.flat().map(async (place) => {
      const answer = await askQuietly(mesh, place, { ask: "lift", drill: "" }, signal);
      (answer === undefined ? silent : lifted).push(placeName(place));
    }),
  );
  await releaseLocks({ mesh, drill: "", clusters: mesh.clusters }, signal);
  return { lifted: lifted.sort(), silent: silent.sort() };
}
