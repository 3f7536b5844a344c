// The schema and its TypeScript messages: what goes in at the server comes out at the client.
import { describe, expect, test } from "@jest/globals";
import { createAgentClient } from "../../../../mesh/api/agent-client.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { CART, startAgentApi, STATUS } from "../../../fakes/agent-api.ts";

const never = new AbortController().signal;

describe("createAgentClient()", () => {
  test("carries every field of a status and of a service", async () => {
    await using api = await startAgentApi();
    const client = createAgentClient({ socket: api.socket, clock: systemClock });
    expect(await client.getStatus({}, never)).toEqual(STATUS);
    expect(await client.getService({ namespace: "shop", name: "cart" }, never)).toEqual({
      service: CART,
    });
    expect(await client.listServices({ namespace: "" }, never)).toEqual({ services: [CART] });
    client.close();
  });
});
