import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { systemClock } from "../../../../mesh/core/clock.ts";
import type { ClusterFacts } from "../../../../mesh/connect/cluster-facts.ts";
import {
  acceptProposal,
  createClientRequest,
  installSide,
  refuseErrors,
  type ClientRequest,
} from "../../../../mesh/connect/join-session.ts";
import { issueRemote } from "../../../../pki/issue.ts";
import { createTestCluster, readTree, type TestCluster } from "../../../fakes/cluster.ts";
import { createFactsMaker, FACTS_NOW_MS, type FactsMaker } from "../../../fakes/cluster-facts.ts";

const signal = new AbortController().signal;
const clock = { ...systemClock, nowMs: () => FACTS_NOW_MS };
let east: TestCluster;
let own: ClusterFacts;
let west: FactsMaker;
let client: ClientRequest;

beforeAll(async () => {
  east = await createTestCluster({ name: "east", id: 1, clock });
  own = (await createFactsMaker("east", 1)).make();
  west = await createFactsMaker("west", 2);
  client = await createClientRequest("east");
}, 60_000);

afterAll(() => east.close());

describe("acceptProposal()", () => {
  const access = () => ({ ...east.access, readFacts: () => Promise.resolve(own) });

  test("keeps the joiner's request for later and asks for a certificate of its own", async () => {
    const { request } = await createClientRequest("west");
    const options = { joiner: west.make(), signingRequest: request.pem, signal };
    const proposal = await acceptProposal(access(), options);
    expect(proposal.joinerRequest.pem).toBe(request.pem);
    expect(proposal.client.request.pem).toContain("BEGIN CERTIFICATE REQUEST");
  });

  test("refuses a request that is none, and clusters that do not fit", async () => {
    const joiner = west.make();
    await expect(
      acceptProposal(access(), { joiner, signingRequest: "x", signal }),
    ).rejects.toMatchObject({ code: "invalid_argument" });
    const profile = { ...joiner.profile, id: 1 };
    await expect(
      acceptProposal(access(), {
        joiner: { ...joiner, profile },
        signingRequest: client.request.pem,
        signal,
      }),
    ).rejects.toThrow('Clusters "east" and "west" both have id 1');
  });
});

test("refuseErrors() lets warnings pass", () => {
  expect(() => refuseErrors([own, west.make({ version: "9.9.9" })])).not.toThrow();
});

describe("installSide()", () => {
  const install = (certificatePem: string) =>
    installSide(east.access, { own, peer: west.make(), client, certificatePem, clock, signal });

  test("refuses a certificate for another user, and writes nothing", async () => {
    const before = await readTree(east.directory);
    const { request } = client;
    const wrong = issueRemote(west.authority, { reader: "north", request, nowMs: FACTS_NOW_MS });
    await expect(install(wrong.pem)).rejects.toThrow('want common name "remote-east"');
    expect(await readTree(east.directory)).toEqual(before);
  });

  test("refuses a known name that shows the known authority and signs with another", async () => {
    const before = await readTree(east.directory);
    const impostor = await createFactsMaker("west", 2);
    const { request } = client;
    const forged = issueRemote(impostor.authority, {
      reader: "east",
      request,
      nowMs: FACTS_NOW_MS,
    });
    const shown = [...west.make().bundle.authorities, ...impostor.make().bundle.authorities];
    const known = {
      name: "west",
      id: 2,
      endpoints: [],
      bundle: west.make().bundle,
      client: undefined,
      problem: undefined,
    };
    const attempt = installSide(east.access, {
      own: { ...own, peers: [known] },
      peer: { ...west.make(), bundle: { authorities: shown } },
      client,
      certificatePem: forged.pem,
      clock,
      signal,
    });
    await expect(attempt).rejects.toMatchObject({ code: "unauthenticated" });
    expect(await readTree(east.directory)).toEqual(before);
  });

  test("refuses a certificate for another key", async () => {
    const { request } = await createClientRequest("east");
    const other = issueRemote(west.authority, { reader: "east", request, nowMs: FACTS_NOW_MS });
    await expect(install(other.pem)).rejects.toThrow("it has another key");
  });

  test("refuses a peer whose etcd cannot be reached, and writes nothing", async () => {
    const before = await readTree(east.directory);
    const { request } = client;
    const good = issueRemote(west.authority, { reader: "east", request, nowMs: FACTS_NOW_MS });
    const peer = west.make();
    const profile = { ...peer.profile, etcdEndpoints: ["https://127.0.0.1:1"] };
    const options = { own, peer: { ...peer, profile }, client, clock, signal };
    await expect(
      installSide(east.access, { ...options, certificatePem: good.pem }),
    ).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringMatching(
        /^Cannot join: cluster "east" does not reach the etcd of "west"/,
      ),
    });
    expect(await readTree(east.directory)).toEqual(before);
  });
});
