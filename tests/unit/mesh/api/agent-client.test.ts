// The schema and its TypeScript messages: what goes in at the server comes out at the client.
import { describe, expect, test } from "@jest/globals";
import { createAgentClient } from "../../../../mesh/api/agent-client.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { CART, startAgentApi, STATUS } from "../../../fakes/agent-api.ts";
import * as answers from "../../../fakes/agent-policy-answers.ts";

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

  test("carries every field of what is said about policy", async () => {
    await using api = await startAgentApi();
    const client = createAgentClient({ socket: api.socket, clock: systemClock });
    const from = { node: "east-1", cluster: "east" };
    const cart = { namespace: "shop", name: "cart-1" };
    expect(await client.listEndpoints({ namespace: "" }, never)).toEqual({
      ...from,
      endpoints: [{ ...answers.ENDPOINT, entries: [] }, answers.CLOSED_ENDPOINT],
    });
    expect(await client.getEndpoint(cart, never)).toEqual({ endpoint: answers.ENDPOINT });
    expect(await client.listPolicies({ namespace: "" }, never)).toEqual({
      ...from,
      synced: true,
      policies: [answers.POLICY, answers.REFUSED_POLICY],
    });
    expect(await client.listIdentities({ number: 0, cluster: "west" }, never)).toEqual({
      identities: [answers.IDENTITY],
    });
    client.close();
  });

  test("carries what is to be traced, and the trace", async () => {
    const asked: unknown[] = [];
    const trace = (request: unknown): typeof answers.TRACE => {
      asked.push(request);
      return answers.TRACE;
    };
    await using api = await startAgentApi({ policy: { trace } });
    const client = createAgentClient({ socket: api.socket, clock: systemClock });
    const request = {
      namespace: "shop",
      name: "cart-1",
      direction: "ingress",
      peerPod: { cluster: "west", namespace: "shop", name: "web-1" },
      peerAddress: "",
      protocol: "TCP",
      port: 8080,
    } as const;
    const world = { ...request, peerPod: null, peerAddress: "192.0.2.1" };
    expect(await client.tracePolicy(request, never)).toEqual(answers.TRACE);
    expect(await client.tracePolicy(world, never)).toEqual(answers.TRACE);
    expect(asked).toEqual([request, world]);
    client.close();
  });

  test("carries flows and what was lost between them", async () => {
    await using api = await startAgentApi();
    const client = createAgentClient({ socket: api.socket, clock: systemClock });
    const all = { clusters: [], namespaces: [], pods: [], labels: [], verdicts: [] };
    const request = { ...all, last: 10, follow: false, protocols: [], ports: [] };
    const found: unknown[] = [];
    for await (const observed of client.observe(request, never)) found.push(observed);
    expect(found).toEqual([
      { flow: answers.FLOW, lost: 0 },
      { flow: null, lost: 4 },
      { flow: answers.WORLD_FLOW, lost: 0 },
    ]);
    client.close();
  });
});
