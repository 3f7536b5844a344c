import { describe, expect, test } from "@jest/globals";
import { createPublishBuffer } from "../../../../mesh/operations/publish-buffer.ts";

const message = (n: number, data = "x"): { subject: string; data: string; id: string } => ({
  subject: "s",
  data,
  id: `${n}`,
});

describe("createPublishBuffer()", () => {
  test("gives what came first until it is removed", () => {
    const buffer = createPublishBuffer();
    const [a, b] = [message(1), message(2)];
    buffer.put(a);
    buffer.put(b);
    expect([buffer.first(), buffer.first(), buffer.size]).toEqual([a, a, 2]);
    buffer.remove(a);
    buffer.remove(a);
    expect([buffer.first(), buffer.size, buffer.dropped]).toEqual([b, 1, 0]);
  });

  test("drops the oldest beyond its number and beyond its bytes, and counts them", () => {
    const buffer = createPublishBuffer({ messages: 3, bytes: 10 });
    for (const n of [1, 2, 3, 4, 5]) buffer.put(message(n));
    expect([buffer.first()?.id, buffer.size, buffer.dropped]).toEqual(["3", 3, 2]);
    buffer.put(message(6, "ä".repeat(4)));
    expect([buffer.first()?.id, buffer.size, buffer.dropped]).toEqual(["4", 3, 3]);
    buffer.put(message(7, "12345"));
    expect([buffer.first()?.id, buffer.size, buffer.dropped]).toEqual(["7", 1, 6]);
  });
});
