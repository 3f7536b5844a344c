import { describe, expect, test } from "@jest/globals";
import * as rules from "../../../../../mesh/kvstore/records/kubernetes-names.ts";
import { textIsAllowed } from "../../../../../mesh/kvstore/records/record-fields.ts";

for (const [name, rule, allowed, refused] of [
  ["NAMESPACE_NAME", rules.NAMESPACE_NAME, ["shop", "a", "0-a"], ["", "-a", "a.b", "A", "a/b"]],
  ["SERVICE_NAME", rules.SERVICE_NAME, ["cart", "a-1"], ["", "a-", "a.b", "ä", "..", "a\n"]],
  ["NODE_NAME", rules.NODE_NAME, ["worker-1.east.example"], ["", ".", "a.", "a b", "../a"]],
  ["POD_NAME", rules.POD_NAME, ["cart-6b7c9-x2x4z"], ["", "Cart", "a_b"]],
  ["SERVICE_ACCOUNT_NAME", rules.SERVICE_ACCOUNT_NAME, ["default"], ["", "a:b"]],
  ["PORT_NAME", rules.PORT_NAME, ["", "http", "http-2"], ["h p", "a".repeat(64), "h\u0000"]],
  ["LABEL_KEY", rules.LABEL_KEY, ["app", "app.kubernetes.io/name"], ["", "-a", "a=b", "a;b"]],
  ["LABEL_VALUE", rules.LABEL_VALUE, ["", "v1.2_3-x"], ["-a", "a b", "a;b", "a".repeat(64)]],
  ["ANNOTATION_VALUE", rules.ANNOTATION_VALUE, ["", "two\nlines", "🙂"], ["a\0", "\ud800"]],
] as const) {
  describe(name, () => {
    test(`${name} allows what Kubernetes allows`, () => {
      for (const text of allowed) expect([text, textIsAllowed(text, rule)]).toEqual([text, true]);
    });

    test(`${name} refuses what Kubernetes refuses`, () => {
      for (const text of refused) expect([text, textIsAllowed(text, rule)]).toEqual([text, false]);
    });
  });
}
