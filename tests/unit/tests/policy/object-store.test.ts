// The documents of an object store: what the reference evaluator and the project make of them is
// what is written down by hand. tests/e2e/policy-object-store.test.ts sends the packets.
import { describe, expect, test } from "@jest/globals";
import { parseManifestFile } from "../../../../apiserver/source/manifests/parse-file.ts";
import { createProjectAnswers } from "../../../policy/engine-answer.ts";
import { plannedWorld } from "../../../policy/layout.ts";
import {
  OBJECT_STORE_FILES,
  OBJECT_STORE_PODS,
  OBJECT_STORE_VERDICTS,
  objectStoreDocument,
  objectStoreText,
} from "../../../policy/object-store.ts";
import { evaluate } from "../../../policy/reference.ts";
import { packetFromText, type World } from "../../../policy/world.ts";

const world: World = {
  ...plannedWorld(),
  namespaces: [],
  pods: OBJECT_STORE_PODS.map((pod, i) => ({
    ...pod,
    kind: "pod",
    node: `${pod.cluster}-node${pod.node}`,
    ipv4: `10.9.0.${i + 1}`,
    ipv6: `fd00:9::${i + 1}`,
  })),
};

describe("documents of an object store", () => {
  for (const name of OBJECT_STORE_FILES) {
    test(`${name} is honoured in full`, () => {
      const { objects, problems } = parseManifestFile(`${name}.yaml`, objectStoreText(name));
      expect(problems).toEqual([]);
      expect(objects).toHaveLength(1);
      expect(objects[0]?.object).toMatchObject({ refusals: [] });
    });

    test(`${name} means what is written down`, () => {
      const wanted = OBJECT_STORE_VERDICTS[name] ?? {};
      const document = objectStoreDocument(name);
      const project = createProjectAnswers(world);
      project.apply([document]);
      for (const family of [4, 6] as const) {
        for (const [text, allowed] of Object.entries(wanted)) {
          const packet = packetFromText(world, text, family);
          const found = [evaluate(world, [document], packet).allowed, project.allows(packet)];
          expect([text, ...found]).toEqual([text, allowed, allowed]);
        }
      }
    });
  }
});
