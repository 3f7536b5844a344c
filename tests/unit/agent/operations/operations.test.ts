import { describe, expect, test } from "@jest/globals";
import { createAgentOperations, serversOf } from "../../../../agent/operations/operations.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { createFakeClock } from "../../../fakes/clock.ts";

describe("serversOf()", () => {
  test("takes what is configured, or looks beside etcd", () => {
    const etcd = ["https://198.18.1.2:2379", "https://[fd00::1]:2379"];
    expect(serversOf({ kind: "fixed", servers: ["a:1"] }, etcd)).toEqual(["a:1"]);
    expect(serversOf({ kind: "beside-etcd", port: 32422 }, etcd)).toEqual([
      "198.18.1.2:32422",
      "[fd00::1]:32422",
    ]);
    expect(serversOf({ kind: "beside-etcd", port: 1 }, [])).toEqual([]);
  });
});

describe("createAgentOperations()", () => {
  const options = {
    cluster: "east",
    nodeName: "east-1",
    etcdEndpoints: () => [],
    tls: { caFile: "/ca", certFile: "/crt", keyFile: "/key" },
    serverName: "east.mesh.cilium.io",
    clock: createFakeClock(),
    random: () => 0.5,
    log: silentLogger,
  };

  test("has events without an operations plane, and nothing else", () => {
    const { connection, tasks } = createAgentOperations({ ...options, place: undefined });
    expect([connection, tasks]).toEqual([undefined, []]);
  });

  test("keeps what is told while nobody knows where NATS is", () => {
    const place = { kind: "beside-etcd", port: 1 } as const;
    const { connection, events, tasks } = createAgentOperations({ ...options, place });
    events.emit({
      kind: "isolation",
      severity: "error",
      subject: "east-1",
      from: "",
      to: "",
      text: "Alone",
      evidence: {},
    });
    expect(connection?.status()).toMatchObject({ state: "connecting", waiting: 1 });
    expect(tasks).toHaveLength(1);
  });
});
