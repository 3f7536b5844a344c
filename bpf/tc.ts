// tc classifiers (direct-action) on interfaces of the process's own network namespace. A filter
// keeps its program; to renew it, attach again.
import { MeshError } from "../mesh/core/errors.ts";
import { checkResult, isErrno } from "./errno.ts";
import * as libbpf from "./libbpf.ts";
import { withPin } from "./pin.ts";

/** As seen by the interface: `ingress` is what it receives. */
export type Direction = "ingress" | "egress";

export interface ClassifierPlace {
  readonly ifindex: number;
  readonly direction: Direction;
  /** Where the filter stands among others of the interface; ours by default. */
  readonly priority?: number;
  readonly handle?: number;
}

/** enum bpf_tc_attach_point */
const ATTACH_POINT: Record<Direction, number> = { ingress: 1, egress: 2 };
/** BPF_TC_F_REPLACE */
const REPLACE = 1;
/** First in line: what comes behind sees only what these let pass. */
const DEFAULT_PRIORITY = 1;
const DEFAULT_HANDLE = 1;

/** Attaches the pinned program, in place of the one that is there. Idempotent. */
export function attachClassifier(place: ClassifierPlace & { readonly programPath: string }): void {
  const { ifindex, direction, programPath } = place;
  const hook = hookFromPlace(place);
  const action = `Cannot attach "${programPath}" to the ${direction} of interface ${ifindex}`;
  libbpf.setPrint(null);
  const created = libbpf.tcHookCreate(hook);
  if (!isErrno(created, "EEXIST")) checkResult(action, created);
  withPin(programPath, (fd) => {
    checkResult(
      action,
      libbpf.tcAttach(hook, { ...optionsFromPlace(place), prog_fd: fd, flags: REPLACE }),
    );
  });
}

/** Whether a program stands in this place; false for an interface that is gone. */
export function hasClassifier(place: ClassifierPlace): boolean {
  libbpf.setPrint(null);
  const result = libbpf.tcQuery(hookFromPlace(place), optionsFromPlace(place));
  if (noSuchPlace(result)) return false;
  checkResult(`Cannot look at the ${place.direction} of interface ${place.ifindex}`, result);
  return true;
}

/** Detaching what is not attached, or from an interface that is gone, is success. */
export function detachClassifier(place: ClassifierPlace): void {
  libbpf.setPrint(null);
  const result = libbpf.tcDetach(hookFromPlace(place), optionsFromPlace(place));
  if (!noSuchPlace(result))
    checkResult(`Cannot detach from the ${place.direction} of interface ${place.ifindex}`, result);
}

function noSuchPlace(result: number): boolean {
  return (["ENOENT", "EINVAL", "ENODEV"] as const).some((name) => isErrno(result, name));
}

/** Throws `not_found` for a name that no interface of this network namespace has. */
export function interfaceIndexFromName(name: string): number {
  const ifindex = libbpf.interfaceIndex(name);
  if (ifindex === 0)
    throw new MeshError("not_found", `Cannot find interface "${name}" in this network namespace`);
  return ifindex;
}

function hookFromPlace({ ifindex, direction }: ClassifierPlace): libbpf.TcHook {
  const attach_point = ATTACH_POINT[direction];
  return { sz: libbpf.SIZE_OF.tcHook, ifindex, attach_point, parent: 0 };
}

function optionsFromPlace({ handle, priority }: ClassifierPlace): libbpf.TcOptions {
  return {
    sz: libbpf.SIZE_OF.tcOptions,
    prog_fd: 0,
    flags: 0,
    prog_id: 0,
    handle: handle ?? DEFAULT_HANDLE,
    priority: priority ?? DEFAULT_PRIORITY,
  };
}
