// Both implementations of PolicyMaps against the one suite.
import { afterAll, beforeAll, jest } from "@jest/globals";
import { openDatapath, type Datapath } from "../../bpf/datapath.ts";
import { createMemoryPolicyMaps } from "../../bpf/memory-policy-maps.ts";
import { openPolicyMaps } from "../../bpf/policy-maps.ts";
import { createScratch, SLOW_MACHINE_MS, type Scratch } from "../bpf/scratch.ts";
import { testPolicyMaps } from "./policy-maps.ts";

jest.setTimeout(SLOW_MACHINE_MS);

let scratch: Scratch;
let datapath: Datapath;

beforeAll(async () => {
  scratch = await createScratch();
  datapath = openDatapath(scratch);
});

afterAll(async () => {
  datapath?.close();
  await scratch?.[Symbol.asyncDispose]();
});

testPolicyMaps("memory", createMemoryPolicyMaps);

testPolicyMaps("kernel", () => {
  const maps = openPolicyMaps(scratch.bpfRoot);
  for (const ifindex of maps.endpoints()) maps.delete(ifindex);
  return maps;
});
