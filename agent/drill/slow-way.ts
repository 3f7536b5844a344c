// The slow way of packets that leave a node through the overlay device: a class of an HTB qdisc
// that only those packets take that carry its number as their priority. Everything else passes
// HTB's direct queue at once. The datapath gives packets the number while a fault is in force, so
// what a killed agent leaves here is taken by nobody.
//
//   packet ─► clsact: to_overlay ─► htb 7e5a: ─┬─ priority 7e5a:10 ─► rate ─► netem, or a queue
//                sets the priority             └─ any other ────────────────────────────► device
import { MeshError } from "../../mesh/core/errors.ts";
import { runCommand, type CommandResult } from "../../mesh/core/child-process.ts";

/** `tc`, run with these words. */
export type TcCommand = (
  words: readonly string[],
  signal: AbortSignal,
) => Promise<Pick<CommandResult, "status" | "stdout" | "stderr">>;

export interface SlowWay {
  /** Makes it, if it is not there. Throws `unsupported`, `conflict`. */
  open(signal: AbortSignal): Promise<void>;
  /** Takes it away, if it is there. */
  close(signal: AbortSignal): Promise<void>;
}

const HANDLE = 0x7e5a;
/** The lowest four bits are 0: qdiscs of devices behind take it for ordinary traffic. */
const CLASS = 0x10;
/** What the datapath writes into `skb->priority`. */
export const SLOW_PRIORITY = HANDLE * 0x1_0000 + CLASS;

const ROOT = `${HANDLE.toString(16)}:`;
const SLOW_CLASS = `${ROOT}${CLASS.toString(16)}`;
/** A satellite's or a far continent's, one way. */
const DELAY_MS = 150;
/** No limit, beside the delay. */
const DELAYED_RATE = "10gbit";
const DELAYED_PACKETS = 50_000;
/** Without netem: a thin line with a queue of a quarter of a second, see docs/drill-faults.md. */
const THIN_RATE_KBIT = 256;
const THIN_QUEUE_BYTES = (THIN_RATE_KBIT * 1_000) / 8 / 4;

export function createSlowWay(device: string, tc: TcCommand = systemTc): SlowWay {
  /** Whether it is there; undefined until somebody has looked. */
  let there: boolean | undefined;

  async function run(words: readonly string[], signal: AbortSignal): Promise<void> {
    const { status, stderr } = await tc(words, signal);
    if (status === 0) return;
    throw new MeshError(
      "unsupported",
      `Cannot make a slow way on device "${device}": tc ${words.join(" ")}: ${stderr.trim().slice(0, 200)}`,
      { hint: "the kernel needs sch_htb, and for a true delay sch_netem" },
    );
  }

  async function look(signal: AbortSignal): Promise<"ours" | "none" | "other"> {
    const { status, stdout } = await tc(["qdisc", "show", "dev", device], signal);
    if (status !== 0) return "none"; // No such device: nothing to slow down, nothing to take away.
    const roots = stdout.split("\n").filter((line) => / root /.test(`${line} `));
    if (roots.some((line) => line.startsWith(`qdisc htb ${ROOT} `))) return "ours";
    // "0:" is what the kernel gives a device by itself.
    return roots.some((line) => !/^qdisc \S+ 0: /.test(line)) ? "other" : "none";
  }

  async function makeLeaf(signal: AbortSignal): Promise<void> {
    const parent = ["dev", device, "parent", SLOW_CLASS];
    const netem = ["qdisc", "replace", ...parent, "netem", "delay", `${DELAY_MS}ms`];
    const tight = ["quantum", "1600", "burst", "1600", "cburst", "1600"];
    const rate = (text: string): readonly string[] => [
      ..."class replace dev".split(" "),
      device,
      ...`parent ${ROOT} classid ${SLOW_CLASS} htb rate ${text} ceil ${text}`.split(" "),
      ...tight,
    ];
    await run(rate(DELAYED_RATE), signal);
    const { status } = await tc([...netem, "limit", String(DELAYED_PACKETS)], signal);
    if (status === 0) return;
    await run(rate(`${THIN_RATE_KBIT}kbit`), signal);
    await run(["qdisc", "replace", ...parent, "bfifo", "limit", String(THIN_QUEUE_BYTES)], signal);
  }

  return {
    async open(signal) {
      if (there === true) return;
      const found = await look(signal);
      if (found === "other") {
        throw new MeshError(
          "conflict",
          `Cannot make a slow way on device "${device}": it has a queueing discipline of somebody else's`,
          { hint: `\`tc qdisc show dev ${device}\` shows it` },
        );
      }
      if (found === "none") {
        const root = ["qdisc", "add", "dev", device, "root", "handle", ROOT, "htb", "default", "0"];
        await run(root, signal);
      }
      try {
        await makeLeaf(signal);
        there = true;
      } catch (error) {
        there = undefined;
        await tc(["qdisc", "del", "dev", device, "root"], signal);
        throw error;
      }
    },
    async close(signal) {
      if (there === false) return;
      if ((await look(signal)) === "ours") {
        await run(["qdisc", "del", "dev", device, "root"], signal);
      }
      there = false;
    },
  };
}

const systemTc: TcCommand = (words, signal) => runCommand({ argv: ["tc", ...words] }, signal);
