import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { drainListCommand, formatLeft } from "../../../../mesh/commands/drain-list.ts";
import { createTestContext } from "../../../fakes/command-context.ts";
import { createDrainCluster } from "../../../fakes/drain-cluster.ts";
import { testDrain } from "../../../fakes/drains.ts";
import { eventually } from "../../../fakes/eventually.ts";

describe("mesh drain list", () => {
  test("shows each drain once, also of a cluster whose apiserver does not run", async () => {
    const home = await mkdtemp(join(tmpdir(), "tombolo-dr-home-"));
    const east = await createDrainCluster({ home, name: "east", id: 1, peers: [] });
    const west = await createDrainCluster({ home, name: "west", id: 2, peers: [] });
    try {
      await west.order([testDrain({ percent: 25, reason: "kernel", services: ["shop/cart"] })]);
      west.stop();
      await east.order([testDrain({ id: "n", cluster: "north", graceSeconds: 0 })]);
      const list = async (): Promise<string> => {
        const context = createTestContext(home);
        expect(await drainListCommand.run([], context)).toBe(0);
        return context.out();
      };
      expect(
        await eventually(async () => ((await list()).includes("north") ? list() : false)),
      ).toBe(
        [
          "CLUSTER  SERVICES   DRAINED  ENDS IN  GRACE  TOLD BY  REASON",
          "north    all           100%   no end   none  east     -",
          "west     shop/cart      25%   no end    30s  west     kernel",
          "",
        ].join("\n"),
      );
    } finally {
      await east.close();
      await west.close();
      await rm(home, { recursive: true, force: true });
    }
  });
});

test.each([
  [0, "no end"],
  [0.2, "1s"],
  [59.6, "1m"],
  [3_570, "59m 30s"],
  [7_200, "2h"],
  [93_784, "1d 2h"],
])("formatLeft(%d) is %s", (seconds, text) => {
  expect(formatLeft(seconds)).toBe(text);
});
