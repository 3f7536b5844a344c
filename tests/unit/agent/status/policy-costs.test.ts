import { expect, test } from "@jest/globals";
import type { LocalEndpoint } from "../../../../agent/endpoints/local-endpoints.ts";
import { createPolicyCosts } from "../../../../agent/status/policy-costs.ts";

test("createPolicyCosts() asks once for pods that have their policy in common", () => {
  const asked: string[] = [];
  const costs = createPolicyCosts({
    costOf(key) {
      asked.push(key);
      return new Map([[key, 1]]);
    },
  });
  const pod = (key: string, profile: string) => {
    const endpoint: LocalEndpoint = { key, pod: "", hostInterface: "", ifindex: 1, addresses: [] };
    return { endpoint, profile };
  };
  const found = [pod("a", "x"), pod("b", "x"), pod("c", "y")].map((one) => [...costs(one).keys()]);
  expect(found).toEqual([["a"], ["a"], ["c"]]);
  expect([...costs({ endpoint: undefined, profile: "x" })]).toEqual([]);
  expect(asked).toEqual(["a", "c"]);
});
