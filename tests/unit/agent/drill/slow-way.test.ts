// The slow way as words for `tc`: what is made, what is left alone, what is undone.
import { describe, expect, test } from "@jest/globals";
import { createSlowWay, SLOW_PRIORITY, type TcCommand } from "../../../../agent/drill/slow-way.ts";

const signal = new AbortController().signal;

/** A `tc` that answers `qdisc show` with this and refuses what matches. */
function scriptedTc(roots: string, refuse = /netem/): { tc: TcCommand; lines: string[] } {
  const lines: string[] = [];
  let shown = roots;
  const tc: TcCommand = (words) => {
    const line = words.join(" ");
    if (line.startsWith("qdisc show")) {
      return Promise.resolve({ status: 0, stdout: shown, stderr: "" });
    }
    if (refuse.test(line)) return Promise.resolve({ status: 2, stdout: "", stderr: "Unknown" });
    lines.push(line);
    if (line.includes(" root handle 7e5a: ")) shown = "qdisc htb 7e5a: root refcnt 2 default 0\n";
    if (line.includes("del")) shown = "qdisc noqueue 0: root refcnt 2\n";
    return Promise.resolve({ status: 0, stdout: "", stderr: "" });
  };
  return { tc, lines };
}

const NOTHING = "qdisc noqueue 0: root refcnt 2 \nqdisc clsact ffff: parent ffff:fff1 \n";

describe("createSlowWay()", () => {
  test("delays with netem where the kernel has it", async () => {
    const { tc, lines } = scriptedTc(NOTHING, /never/);
    await createSlowWay("vx", tc).open(signal);
    expect(lines).toEqual([
      "qdisc add dev vx root handle 7e5a: htb default 0",
      expect.stringMatching(/^class replace dev vx parent 7e5a: classid 7e5a:10 htb rate 10gbit/),
      "qdisc replace dev vx parent 7e5a:10 netem delay 150ms limit 50000",
    ]);
    expect(SLOW_PRIORITY).toBe(0x7e5a0010);
  });

  test("is a thin line where there is no netem, made once and taken away once", async () => {
    const { tc, lines } = scriptedTc(NOTHING);
    const way = createSlowWay("vx", tc);
    await way.open(signal);
    await way.open(signal);
    expect(lines.slice(2)).toEqual([
      expect.stringContaining("htb rate 256kbit ceil 256kbit"),
      "qdisc replace dev vx parent 7e5a:10 bfifo limit 8000",
    ]);
    await way.close(signal);
    await way.close(signal);
    expect(lines.slice(4)).toEqual(["qdisc del dev vx root"]);
  });

  test("takes away what an earlier agent left, and nobody else's", async () => {
    const left = scriptedTc("qdisc htb 7e5a: root refcnt 2 default 0\n");
    await createSlowWay("vx", left.tc).close(signal);
    expect(left.lines).toEqual(["qdisc del dev vx root"]);
    const other = scriptedTc("qdisc tbf 1: root refcnt 2 rate 1Mbit\n");
    await createSlowWay("vx", other.tc).close(signal);
    expect(other.lines).toEqual([]);
    await expect(createSlowWay("vx", other.tc).open(signal)).rejects.toThrow(
      /queueing discipline of somebody else's/,
    );
  });

  test("leaves nothing behind if the kernel cannot", async () => {
    const { tc, lines } = scriptedTc(NOTHING, /class replace/);
    await expect(createSlowWay("vx", tc).open(signal)).rejects.toThrow(/Cannot make a slow way/);
    expect(lines.at(-1)).toBe("qdisc del dev vx root");
  });
});
