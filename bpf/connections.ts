// Clears away connections that are over, by the program that knows when they are: bpf/lib/collect.h.
import { join } from "node:path";
import { checkResult } from "./errno.ts";
import { programTestRun, SIZE_OF, type TestRunOptions } from "./libbpf.ts";
import { withPin } from "./pin.ts";

/** The kernel gives no packet to a program that is shorter than an Ethernet header. */
const PACKET_BYTES = 64;

/**
 * Returns how many connections were forgotten; their ends, and denials that nothing told of yet,
 * are in the flow records then. It costs some milliseconds for a full table.
 */
export function collectConnections(bpfRoot: string): number {
  const path = join(bpfRoot, "programs", "collect");
  const options: TestRunOptions = {
    sz: SIZE_OF.testRunOptions,
    data_in: new Uint8Array(PACKET_BYTES),
    data_out: new Uint8Array(PACKET_BYTES),
    data_size_in: PACKET_BYTES,
    data_size_out: PACKET_BYTES,
    ctx_in: null,
    ctx_out: null,
    ctx_size_in: 0,
    ctx_size_out: 0,
    retval: 0,
    repeat: 1,
    duration: 0,
    flags: 0,
    cpu: 0,
    batch_size: 0,
  };
  withPin(path, (fd) => checkResult(`Cannot run "${path}"`, programTestRun(fd, options)));
  return options.retval;
}
