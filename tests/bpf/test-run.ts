// BPF_PROG_TEST_RUN of a pinned tc program: a packet in, a verdict and a packet out. The packet
// seems to come from the loopback interface (index 1).
import { checkResult } from "../../bpf/errno.ts";
import { programTestRun, SIZE_OF, type TestRunOptions } from "../../bpf/libbpf.ts";
import { withPin } from "../../bpf/pin.ts";

export const LOOPBACK_IFINDEX = 1;

/** linux/pkt_cls.h */
const VERDICTS: Readonly<Record<number, Verdict>> = { 0: "ok", 2: "shot", 7: "redirect" };
export type Verdict = "ok" | "shot" | "redirect";

/** struct __sk_buff of linux/bpf.h. */
const CONTEXT_BYTES = 192;
const MARK_OFFSET = 8;
const PRIORITY_OFFSET = 32;

/** Programs may grow a packet by headers, never by more. */
const HEADROOM = 256;

export interface TestRun {
  readonly verdict: Verdict | undefined;
  readonly packet: Uint8Array;
  /** skb->priority and skb->mark afterwards. */
  readonly priority: number;
  readonly mark: number;
}

export function runProgram(
  path: string,
  packet: Uint8Array,
  { mark = 0 }: { readonly mark?: number } = {},
): TestRun {
  const out = new Uint8Array(packet.length + HEADROOM);
  const before = Buffer.alloc(CONTEXT_BYTES);
  before.writeUInt32LE(mark, MARK_OFFSET);
  const context = Buffer.alloc(CONTEXT_BYTES);
  const options: TestRunOptions = {
    sz: SIZE_OF.testRunOptions,
    data_in: packet,
    data_out: out,
    data_size_in: packet.length,
    data_size_out: out.length,
    ctx_in: before,
    ctx_out: context,
    ctx_size_in: before.length,
    ctx_size_out: context.length,
    retval: 0,
    repeat: 1,
    duration: 0,
    flags: 0,
    cpu: 0,
    batch_size: 0,
  };
  withPin(path, (fd) => checkResult(`Cannot run "${path}"`, programTestRun(fd, options)));
  return {
    verdict: VERDICTS[options.retval],
    packet: out.subarray(0, options.data_size_out),
    priority: context.readUInt32LE(PRIORITY_OFFSET),
    mark: context.readUInt32LE(MARK_OFFSET),
  };
}
