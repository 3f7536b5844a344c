// Makes the node's routing table hold the desired routes. Ours carry a protocol number of their
// own, so that nobody else's are ever touched; what an earlier agent left is adopted.
import type { Operations } from "../../mesh/core/reconciler.ts";
import type { Settlement } from "../desired/settlement.ts";
import { sameRoute, type NodeRoute } from "../plan/plan-routes.ts";
import type { IpCommand } from "./ip-command.ts";

/** `rtm_protocol` of Tombolo's routes; unused by the kernel and by iproute2's rt_protos. */
export const ROUTE_PROTOCOL = "84";

export interface RouteOperationsOptions {
  readonly ip: IpCommand;
  readonly device: string;
  readonly settlement: Settlement;
  /** Waits for the node's router addresses: the kernel takes no route from an address it lacks. */
  readonly addressesReady: (signal: AbortSignal) => Promise<void>;
}

export function createRouteOperations(options: RouteOperationsOptions): Operations<NodeRoute> {
  const { ip, device, settlement, addressesReady } = options;

  /** One process for all; when one of them fails, one each, to learn which and why. */
  async function runAll(
    lines: readonly { readonly key: string; readonly line: string }[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, Error>> {
    const failures = new Map<string, Error>();
    try {
      await ip.batch(
        lines.map(({ line }) => line),
        signal,
      );
      return failures;
    } catch (error) {
      if (signal.aborted) throw error;
    }
    for (const { key, line } of lines) {
      try {
        await ip.batch([line], signal);
      } catch (error) {
        if (signal.aborted) throw error;
        failures.set(key, error instanceof Error ? error : new Error(String(error)));
      }
    }
    return failures;
  }

  return {
    async update(rows, signal) {
      const needsAddress = ({ row }: { row: NodeRoute }): boolean =>
        row.kind === "overlay" && row.source !== "";
      if (rows.some(needsAddress)) await addressesReady(signal);
      const present = await readRoutes({ ip, device }, signal);
      const missing = rows.filter(({ key, row }) => {
        const found = present.get(key);
        return found === undefined || !sameRoute(found, row);
      });
      return runAll(
        missing.map(({ key, row }) => ({ key, line: replaceLine(row, device) })),
        signal,
      );
    },
    async delete(rows, signal) {
      const present = await readRoutes({ ip, device }, signal);
      const there = rows.filter(({ key }) => present.has(key));
      return runAll(
        there.map(({ key, row }) => ({ key, line: deleteLine(row) })),
        signal,
      );
    },
    async prune(desired, signal) {
      // A route does not say whose it is: wait until everyone has spoken.
      if (!settlement.mayPruneAll()) return;
      const present = await readRoutes({ ip, device }, signal);
      const gone = [...present.values()].filter((row) => desired.get(row.prefix) === undefined);
      await ip.batch(
        gone.map((row) => deleteLine(row)),
        signal,
      );
    },
  };
}

/** Our routes as they stand in the kernel, by prefix. */
export async function readRoutes(
  source: { readonly ip: IpCommand; readonly device: string },
  signal: AbortSignal,
): Promise<ReadonlyMap<string, NodeRoute>> {
  const routes = new Map<string, NodeRoute>();
  for (const family of ["-4", "-6"]) {
    const args = [family, "route", "show", "table", "main", "proto", ROUTE_PROTOCOL];
    for (const row of await source.ip.query(args, signal)) {
      const prefix = prefixFromDestination(String(row["dst"]), family);
      routes.set(prefix, routeFromRow(row, { prefix, device: source.device }));
    }
  }
  return routes;
}

function routeFromRow(
  row: Readonly<Record<string, unknown>>,
  place: { readonly prefix: string; readonly device: string },
): NodeRoute {
  const { prefix, device } = place;
  if (row["type"] === "unreachable") return { kind: "unreachable", prefix };
  const metrics = (row["metrics"] ?? []) as readonly Readonly<Record<string, unknown>>[];
  // A route of ours through another device is not what anyone wants; mtu 0 makes it differ.
  const mtu = row["dev"] === device ? Number(metrics[0]?.["mtu"] ?? 0) : 0;
  const source = row["prefsrc"];
  return { kind: "overlay", prefix, mtu, source: typeof source === "string" ? source : "" };
}

/** iproute2 leaves the length out where it is that of a host. */
function prefixFromDestination(destination: string, family: string): string {
  if (destination.includes("/")) return destination;
  return `${destination}/${family === "-4" ? 32 : 128}`;
}

function replaceLine(route: NodeRoute, device: string): string {
  const common = `${route.prefix} proto ${ROUTE_PROTOCOL}`;
  if (route.kind === "unreachable") return `route replace unreachable ${common}`;
  const source = route.source === "" ? "" : ` src ${route.source}`;
  return `route replace ${common} dev ${device} mtu ${route.mtu}${source}`;
}

function deleteLine(route: NodeRoute): string {
  const kind = route.kind === "unreachable" ? "unreachable " : "";
  return `route del ${kind}${route.prefix} proto ${ROUTE_PROTOCOL}`;
}
