import { describe, expect, test } from "@jest/globals";
import { MeshError } from "../../../../mesh/core/errors.ts";
import { watchOverlay } from "../../../../agent/apply/overlay-watch.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

describe("watchOverlay()", () => {
  function start() {
    const clock = createFakeClock();
    const device: { index: number | undefined } = { index: 7 };
    const end = new AbortController();
    const outcome = watchOverlay(
      {
        device: "tombolo_vxlan",
        ifindex: 7,
        interfaceIndex() {
          if (device.index === undefined) throw new MeshError("not_found", "Cannot find it");
          return device.index;
        },
        clock,
      },
      end.signal,
    ).then(
      () => "ended",
      (error: unknown) => (error instanceof Error ? error.message : ""),
    );
    return { clock, device, end, outcome };
  }

  for (const [what, index] of [
    ["removed", undefined],
    ["replaced", 8],
  ] as const) {
    test(`rejects when the device is ${what}`, async () => {
      const { clock, device, outcome } = start();
      await clock.advance(5_000);
      device.index = index;
      await clock.advance(1_000);
      expect(await outcome).toContain('overlay device "tombolo_vxlan" was removed or replaced');
    });
  }

  test("ends with the signal while the device is there", async () => {
    const { clock, end, outcome } = start();
    await clock.advance(5_000);
    end.abort();
    expect(await outcome).toBe("ended");
  });
});
