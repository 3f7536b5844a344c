// Debian 12's 6.1 kernel is the oldest that the datapath supports: its verifier must accept every
// program, and its libbpf must pin what the agent will adopt.
import { describe, expect, test } from "@jest/globals";
import { fileURLToPath } from "node:url";
import { runInVirtualMachine } from "./virtual-machine.ts";

const OBJECTS = fileURLToPath(new URL("../../build/bpf", import.meta.url));
/** Booting takes about 15 s under software emulation; a busy machine may take many times that. */
const LIMIT_MS = 600_000;

/** Object → its programs, sorted. */
const PROGRAMS = {
  overlay: "from_overlay to_overlay",
  pod: "collect from_pod to_pod",
  socket:
    "connect4 connect6 getpeername4 getpeername6 recvmsg4 recvmsg6 sendmsg4 sendmsg6 sock_release",
  sockops: "tcp_events",
};

describe("bpf/prog on Debian 12's kernel", () => {
  test(
    "the verifier of 6.1 accepts every program",
    async () => {
      const script = Object.keys(PROGRAMS)
        .map(
          (name) => `mkdir /sys/fs/bpf/${name}
bpftool prog loadall '${OBJECTS}/${name}.bpf.o' /sys/fs/bpf/${name} || exit 1
echo "${name}: $(ls /sys/fs/bpf/${name} | sort | tr '\\n' ' ')"`,
        )
        .join("\n");
      const result = await runInVirtualMachine(
        `uname -r\n${script}\n`,
        AbortSignal.timeout(LIMIT_MS),
      );
      const lines = result.output
        .trim()
        .split("\n")
        .map((line) => line.trim());
      const wanted = Object.entries(PROGRAMS).map(([name, programs]) => `${name}: ${programs}`);
      expect(lines).toEqual([result.kernel, ...wanted]);
      expect(result.status).toBe(0);
    },
    LIMIT_MS,
  );
});
