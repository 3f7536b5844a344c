// Both implementations of BpfMap against the one suite.
import { jest } from "@jest/globals";
import { createMap } from "../../bpf/map.ts";
import { createMemoryMap } from "../../bpf/memory-map.ts";
import { testBpfMap } from "./bpf-map.ts";
import { SLOW_MACHINE_MS } from "../bpf/scratch.ts";

jest.setTimeout(SLOW_MACHINE_MS);

testBpfMap("memory", () => ({
  create: (spec, maxEntries) => createMemoryMap(spec, { maxEntries }),
}));

testBpfMap("kernel", () => ({ create: createMap }));
