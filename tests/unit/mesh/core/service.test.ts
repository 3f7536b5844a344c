import { describe, expect, test } from "@jest/globals";
import { serviceKey } from "../../../../mesh/core/service.ts";

describe("serviceKey()", () => {
  test("is the same for services of one name in any cluster", () => {
    expect(serviceKey({ namespace: "shop", name: "cart" })).toBe("shop/cart");
  });
});
