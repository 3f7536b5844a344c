import { expect, test } from "@jest/globals";
import { policyKey } from "../../../../mesh/core/policy.ts";

test("policyKey() is kind, namespace if there is one, and name", () => {
  expect(policyKey({ kind: "NetworkPolicy", namespace: "shop", name: "web" })).toBe(
    "NetworkPolicy/shop/web",
  );
  expect(policyKey({ kind: "CiliumClusterwideNetworkPolicy", namespace: "", name: "base" })).toBe(
    "CiliumClusterwideNetworkPolicy/base",
  );
});
