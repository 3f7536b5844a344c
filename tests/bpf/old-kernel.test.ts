// The oldest kernel that is promised takes every program: its verifier is stricter than today's.
import { describe, expect, test } from "@jest/globals";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { buildObjects } from "./scratch.ts";
import { findKernel, runMachine } from "./virtual-machine.ts";

/** Of Debian 12. */
const VERSION = "6.1";
const BPFTOOL = "/usr/sbin/bpftool";
/** It takes ten seconds on an idle machine; emulation beside other work is slow. */
const LIMIT_MS = 300_000;

const found = findKernel(VERSION);

describe(`Linux ${VERSION}`, () => {
  if ("missing" in found) test.skip(`loads every program (${found.missing})`, () => {});
  else
    test(
      "loads every program",
      async () => {
        const directory = buildObjects();
        const objects = readdirSync(directory).filter(
          (name) => name.endsWith(".bpf.o") && name !== "enums.bpf.o",
        );
        const load = (name: string): string =>
          `bpftool prog loadall /objects/${name} /bpf/${name.replaceAll(".", "_")} && echo LOADED ${name}`;
        const output = await runMachine({
          kernel: found.kernel,
          programs: [BPFTOOL],
          files: new Map(objects.map((name) => [`/objects/${name}`, join(directory, name)])),
          script: ["mount -t sysfs sys /sys", "mount -t bpf bpf /bpf", ...objects.map(load)].join(
            "\n",
          ),
          limitMs: LIMIT_MS,
        });
        const loaded = [...output.matchAll(/LOADED (\S+)/g)].map(([, name]) => name);
        // All of the console on failure: it has the verifier's words.
        expect({ loaded, output }).toEqual({ loaded: objects, output });
      },
      LIMIT_MS,
    );
});
