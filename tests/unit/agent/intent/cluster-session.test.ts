import { describe, expect, test } from "@jest/globals";
import { createTable } from "../../../../mesh/core/table.ts";
import {
  createOwnSession,
  createPeerSession,
  type OpenSession,
  type SessionRequest,
} from "../../../../agent/intent/cluster-session.ts";
import { EAST, WEST } from "../../../fakes/agent-cluster.ts";

function capture(): { open: OpenSession; requests: SessionRequest[] } {
  const requests: SessionRequest[] = [];
  const open: OpenSession = (request) => {
    requests.push(request);
    return {
      run: () => Promise.resolve(),
      states: createTable({ name: "state" }),
      drain: () => {},
      status: () => {
        throw new Error("not asked");
      },
    };
  };
  return { open, requests };
}

describe("createOwnSession()", () => {
  test("reads our cluster's own state, all its services and policies, and its node's pods", () => {
    const { open, requests } = capture();
    const { intent } = createOwnSession({ cluster: EAST, node: "east-1" }, open);
    expect(requests[0]?.kinds.map(({ prefix }) => prefix)).toEqual([
      "cilium/state/nodes/v1/east/",
      "cilium/state/ip/v1/default/",
      "tombolo/local/identities/v1/east/",
      "tombolo/local/services/v1/east/",
      "tombolo/local/peers/v1/east/",
      "tombolo/state/drains/v1/east/",
      "tombolo/local/drains/v1/east/",
      "tombolo/local/policies/v1/east/",
      "tombolo/local/pods/v1/east/east-1/",
    ]);
    expect(requests[0]?.kinds.map(({ table }) => table)).toEqual([
      intent.nodes,
      intent.endpoints,
      intent.identities,
      intent.services,
      intent.configuredPeers,
      intent.drains,
      intent.localDrains,
      intent.policies,
      intent.pods,
    ]);
  });
});

describe("createPeerSession()", () => {
  test("reads the copy in our own etcd", () => {
    const { open, requests } = capture();
    const { intent } = createPeerSession(WEST, open);
    expect(requests[0]?.kinds.map(({ prefix }) => prefix)).toEqual([
      "cilium/cache/nodes/v1/west/",
      "cilium/cache/ip/v1/west/",
      "cilium/cache/identities/v1/west/id/",
      "cilium/cache/services/v1/west/",
      "tombolo/cache/drains/v1/west/",
    ]);
    expect(intent.cluster).toBe(WEST);
  });
});
