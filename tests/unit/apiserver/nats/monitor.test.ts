import { describe, expect, test } from "@jest/globals";
import { linksOf, streamsOf } from "../../../../apiserver/nats/monitor.ts";

describe("what nats-server says of itself", () => {
  test("streamsOf() reads streams with what they hold", () => {
    const stream = { name: "EVENTS", state: { messages: 3, bytes: 900 } };
    expect(streamsOf({ account_details: [{ stream_detail: [stream, { name: "D" }] }] })).toEqual([
      { name: "EVENTS", messages: 3, bytes: 900 },
      { name: "D", messages: 0, bytes: 0 },
    ]);
  });

  test("linksOf() reads the peers whose links stand", () => {
    const leafs = [{ account: "PEER_west" }, { account: "PEER_east" }, { account: "MESH" }, {}];
    expect(linksOf({ leafs })).toEqual(["east", "west"]);
  });

  test("both read nothing out of anything else", () => {
    for (const answer of [undefined, null, 1, [], {}, { leafs: 1, account_details: "x" }]) {
      expect([streamsOf(answer), linksOf(answer)]).toEqual([[], []]);
    }
  });
});
