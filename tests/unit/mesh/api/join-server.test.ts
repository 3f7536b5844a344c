import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { GrpcServer } from "../../../../mesh/api/grpc.ts";
import { createJoinClient } from "../../../../mesh/api/join-client.ts";
import type { CredentialRequest, ProposeRequest } from "../../../../mesh/api/join-messages.ts";
import {
  createJoinApiServer,
  JOIN_MAX_MESSAGE_BYTES,
  loadJoinDefinition,
} from "../../../../mesh/api/join-server.ts";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";
import { createCertificateAuthority, issueServer } from "../../../../pki/issue.ts";

const signal = new AbortController().signal;
const seen: unknown[] = [];
let server: GrpcServer;
let trustBundle = "";

beforeAll(async () => {
  const authority = await createCertificateAuthority("west", Date.now());
  const { certificate, privateKey } = await issueServer(authority, Date.now());
  trustBundle = authority.certificate.pem;
  const refuse = (): Promise<never> =>
    Promise.reject(new MeshError("conflict", "Cannot join: no", { hint: "do not" }));
  server = await createJoinApiServer({
    listen: "127.0.0.1:0",
    certificateChain: certificate.pem + trustBundle,
    privateKey: privateKey.encodePem(),
    methods: {
      propose: (request: ProposeRequest) => {
        seen.push(request);
        return Promise.resolve({ facts: null, signingRequest: "r" });
      },
      commit: refuse,
      check: (request: CredentialRequest) => {
        seen.push(request);
        return Promise.resolve({ state: "ready", reason: "", synced: true });
      },
      confirm: refuse,
      cancel: refuse,
    },
  });
});

afterAll(() => server.close());

function client(serverName = "west.mesh.cilium.io") {
  const endpoint = `127.0.0.1:${server.port}`;
  return createJoinClient({ endpoint, trustBundle, serverName, clock: systemClock });
}

const credential = { inviteId: Buffer.from([1]), secret: Buffer.from([2, 3]) };

describe("createJoinApiServer()", () => {
  test("carries messages, bytes and absent ones, both ways", async () => {
    const joiner = client();
    const request = { credential, facts: null, signingRequest: "x" };
    expect(await joiner.propose(request, signal)).toMatchObject({
      signingRequest: "r",
      facts: null,
    });
    expect(seen.at(-1)).toEqual(request);
    joiner.close();
  });

  test("carries errors with their hints", async () => {
    const joiner = client();
    await expect(joiner.commit({ credential, certificate: "" }, signal)).rejects.toMatchObject({
      code: "conflict",
      message: "Cannot join: no",
      hint: "do not",
    });
    joiner.close();
  });

  test("is not called by whom the name does not satisfy", async () => {
    const joiner = client("west.example.org");
    await expect(joiner.check({ credential }, signal)).rejects.toMatchObject({
      code: "unavailable",
    });
    joiner.close();
  });

  test("does not take a message beyond its limit", async () => {
    const joiner = client();
    const signingRequest = "x".repeat(JOIN_MAX_MESSAGE_BYTES + 1);
    await expect(
      joiner.propose({ credential, facts: null, signingRequest }, signal),
    ).rejects.toMatchObject({ code: "resource_exhausted" });
    joiner.close();
  });
});

test("loadJoinDefinition() has every method", () => {
  expect(Object.keys(loadJoinDefinition()).sort()).toEqual([
    "Cancel",
    "Check",
    "Commit",
    "Confirm",
    "Propose",
  ]);
});
