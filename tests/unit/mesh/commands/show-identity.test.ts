import { expect, test } from "@jest/globals";
import { formatIdentity } from "../../../../mesh/commands/show-identity.ts";
import { WORLD } from "../../../fakes/agent-policy-answers.ts";

test("formatIdentity() says that no rule names it", () => {
  expect(formatIdentity(WORLD)).toBe(
    [
      "2: 0 addresses on this node's map",
      "  reserved:world",
      "no rule of this node names it among its peers",
      "",
    ].join("\n"),
  );
});
