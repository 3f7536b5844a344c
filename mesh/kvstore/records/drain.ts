// Drains: new connections shall go elsewhere (DESIGN.md, "Drain").
import type { ClusterId } from "../../core/cluster.ts";

export interface DrainRecord {
  /** Chosen by whoever ordered it; [a-z0-9-], at most 40 characters. */
  readonly id: string;
  /** The cluster that gets less; in `state` and `cache` always the writer itself. */
  readonly cluster: string;
  /** Undefined while it is not known. */
  readonly clusterId: ClusterId | undefined;
  /** Share of new connections that goes elsewhere, 1 … 100. */
  readonly percent: number;
  /** "NAMESPACE/NAME"; empty for all. */
  readonly services: readonly string[];
  /** Wall clock, milliseconds since 1970; 0 for none. */
  readonly expiresAtMs: number;
  /** How long established flows are left alone, in seconds. */
  readonly graceSeconds: number;
  readonly reason: string;
  readonly createdAtMs: number;
}
