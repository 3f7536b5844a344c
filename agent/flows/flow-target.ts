// Which sockets a reset is about. Pure.
//
// What went through a service is known by its row in the datapath's map `flows`. A socket without a
// row is a program's own connection to a pod's address, which is left alone, unless the map may
// have lost rows (least recently used ones yield): then, for what is down, the address decides.
import { addressFromMapAddress } from "../../bpf/address.ts";
import type { Flow } from "../../bpf/gen/layout.ts";
import type { AddressFamily } from "../../mesh/core/address.ts";
import type { ClusterId } from "../../mesh/core/cluster.ts";
import { backendKey, type ServiceState } from "../apply/service-state.ts";
import type { DiagnosedSocket } from "./sock-diag.ts";

export type FlowTarget =
  /** Every flow to a cluster that can be reached no more by these families. */
  | {
      readonly kind: "cluster";
      readonly clusterId: ClusterId;
      readonly families: readonly AddressFamily[];
    }
  | { readonly kind: "backends"; readonly ids: ReadonlySet<number> }
  /** What has been told to leave: never decided by address. */
  | {
      readonly kind: "drained";
      readonly clusterId: ClusterId;
      /** Frontends, by their ids in the datapath. */
      readonly serviceIds: ReadonlySet<number>;
    };

export interface FlowFacts {
  readonly socket: DiagnosedSocket;
  /** Undefined without a row, and when the row is about an earlier connection of the socket. */
  readonly flow: Flow | undefined;
}

export type Verdict =
  | "reset"
  | "keep"
  /** Reset it if the map may have lost its row. */
  | "reset-if-lost";

export type KnownBackends = Pick<ServiceState, "backends" | "backendIds">;

/** The flow of a socket, if the row is about where the socket is connected now. */
export function flowOfSocket(socket: DiagnosedSocket, row: Flow | undefined): Flow | undefined {
  if (row === undefined || row.port !== socket.port) return undefined;
  return Buffer.from(row.address).equals(socket.address) ? row : undefined;
}

export function judgeFlow(
  target: FlowTarget,
  { socket, flow }: FlowFacts,
  known: KnownBackends,
): Verdict {
  if (flow !== undefined) return belongs(target, { socket, flow }) ? "reset" : "keep";
  return isAddressOf(target, socket, known) ? "reset-if-lost" : "keep";
}

/** Of the address that is talked to, however the socket was made. */
export function familyOfSocket({ address }: Pick<DiagnosedSocket, "address">): AddressFamily {
  return addressFromMapAddress(address).family;
}

function belongs(
  target: FlowTarget,
  { socket, flow }: { socket: DiagnosedSocket; flow: Flow },
): boolean {
  switch (target.kind) {
    case "cluster":
      return (
        flow.clusterId === target.clusterId && target.families.includes(familyOfSocket(socket))
      );
    case "backends":
      return target.ids.has(flow.backendId);
    case "drained":
      return flow.clusterId === target.clusterId && target.serviceIds.has(flow.serviceId);
  }
}

function isAddressOf(target: FlowTarget, socket: DiagnosedSocket, known: KnownBackends): boolean {
  if (target.kind === "drained") return false;
  const { family, text: address } = addressFromMapAddress(socket.address);
  const { port, protocol } = socket;
  if (target.kind === "cluster") {
    const key = backendKey({ clusterId: target.clusterId, address, port, protocol });
    return target.families.includes(family) && known.backendIds.has(key);
  }
  for (const id of target.ids) {
    const backend = known.backends.get(id)?.value;
    if (backend?.address === address && backend.port === port && backend.protocol === protocol)
      return true;
  }
  return false;
}
