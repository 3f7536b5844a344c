import { describe, expect, test } from "@jest/globals";
import { statSync, writeFileSync } from "node:fs";
import { createAgentServer } from "../../../../mesh/api/agent-server.ts";
import { startAgentApi } from "../../../fakes/agent-api.ts";

describe("createAgentServer()", () => {
  test("gives the socket to its owner alone", async () => {
    await using api = await startAgentApi();
    expect(statSync(api.socket).mode & 0o777).toBe(0o600);
  });

  test("takes the place of a socket that a killed agent left", async () => {
    await using api = await startAgentApi();
    const left = `${api.socket}.left`;
    writeFileSync(left, "");
    const methods = {
      getStatus: () => Promise.reject(new Error("not asked")),
      listServices: () => Promise.reject(new Error("not asked")),
      getService: () => Promise.reject(new Error("not asked")),
      getHealth: () => Promise.reject(new Error("not asked")),
    };
    const server = await createAgentServer({ socket: left, methods });
    expect(statSync(left).isSocket()).toBe(true);
    server.close();
  });
});
