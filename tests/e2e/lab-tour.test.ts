// What `npm start` shows, on a lab of its own: it tells the truth, and can be run again.
import { afterAll, describe, expect, test } from "@jest/globals";
import { createTimeline } from "../../deploy/tour/timeline.ts";
import { runTour } from "../../deploy/tour/tour.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { createTestLab, never, UP_LIMIT_MS } from "./test-lab.ts";

const lab = createTestLab("tour");

afterAll(() => lab.remove(), UP_LIMIT_MS);

describe("runTour()", () => {
  for (const time of ["first", "second"]) {
    test(
      `shows answers from both clusters, and requests that go on, the ${time} time`,
      async () => {
        let text = "";
        const output = { write: (part: string) => void (text += part), colour: false };
        const whole = await runTour({
          home: lab.home,
          labName: lab.name,
          mesh: lab.mesh,
          timeline: createTimeline(output, systemClock),
          clock: systemClock,
          signal: never,
        });
        expect(text).toContain("first answer from east/cart-");
        expect(text).toContain("first answer from west/cart-");
        expect(text).toMatch(/requests went on: \d+ sent, none failed/);
        expect(text).toMatch(/east answers again, \d+ ms after/);
        expect(whole).toBe(true);
      },
      UP_LIMIT_MS,
    );
  }
});
