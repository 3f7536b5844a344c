// Policies on Debian 12's 6.1 kernel, for real: two pods, what is allowed gets through, what is
// not does not, and a policy that changes cuts what is under way.
import { describe, expect, test } from "@jest/globals";
import { fileURLToPath } from "node:url";
import { runInVirtualMachine } from "./virtual-machine.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const SCRIPT = fileURLToPath(new URL("policy-smoke.sh", import.meta.url));
/** Booting takes about 15 s under software emulation; a busy machine may take many times that. */
const LIMIT_MS = 600_000;

describe("policies on Debian 12's kernel", () => {
  test(
    "are enforced at both sides of two pods, and a change cuts",
    async () => {
      const directory = "/run/smoke";
      const { status, output } = await runInVirtualMachine(
        [
          `mkdir -p ${directory}/cgroup`,
          `mount -t cgroup2 cgroup2 ${directory}/cgroup`,
          `/bin/sh '${SCRIPT}' '${ROOT}' '${process.execPath}' ${directory} 2>&1`,
        ].join("\n"),
        AbortSignal.timeout(LIMIT_MS),
      );
      const lines = output
        .trim()
        .split("\n")
        .map((line) => line.trim());
      // IPv4 and IPv6, whole and in fragments.
      expect(lines).toEqual([
        "off: yes yes yes yes",
        "closed: no no no no",
        "allowed: yes yes yes yes",
        "denied: no no no no",
        "allowed: yes yes yes yes",
        "cut: 0",
        "report: policyPending policyDenied connectionCut; verdicts 2 1",
      ]);
      expect(status).toBe(0);
    },
    LIMIT_MS,
  );
});
