// Both implementations of BpfMap against the one suite.
import { createMap } from "../../bpf/map.ts";
import { createMemoryMap } from "../../bpf/memory-map.ts";
import { testBpfMap } from "./bpf-map.ts";

testBpfMap("memory", () => ({
  create: (spec, maxEntries) => createMemoryMap(spec, { maxEntries }),
}));

testBpfMap("kernel", () => ({ create: createMap }));
