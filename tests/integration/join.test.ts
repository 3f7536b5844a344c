// Inviting and joining over real gRPC and TLS between two clusters with real etcds: the whole
// way, and every way in which it must be refused or put back.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { createJoinClient } from "../../mesh/api/join-client.ts";
import { systemClock, type Clock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { readClusterProfile } from "../../mesh/contexts/cluster-directory.ts";
import type { ClusterAccess } from "../../mesh/connect/cluster-access.ts";
import { disconnectClusters } from "../../mesh/connect/disconnect.ts";
import { createInvite } from "../../mesh/connect/invite.ts";
import { createInviteStore } from "../../mesh/connect/invite-store.ts";
import { InviteSecret, type InviteToken } from "../../mesh/connect/invite-token.ts";
import { joinCluster } from "../../mesh/connect/join.ts";
import { createJoinServer } from "../../mesh/connect/join-server.ts";
import { readAuthority } from "../../pki/files.ts";
import { meshServerName } from "../../pki/common-names.ts";
import { createTestCluster, readTree, type TestCluster } from "../fakes/cluster.ts";
import { eventually } from "../fakes/eventually.ts";

const signal = new AbortController().signal;
let east: TestCluster;
let west: TestCluster;
let running: { port: number; stop: () => Promise<void> };
let offsetMs = 0;

/** Time for the inviting side that tests can move forward. */
const clock: Clock = { ...systemClock, nowMs: () => Date.now() + offsetMs };

beforeAll(async () => {
  [east, west] = await Promise.all([
    createTestCluster({ name: "east", id: 1, etcd: true }),
    createTestCluster({ name: "west", id: 2, etcd: true }),
  ]);
  running = await serve(west.access);
}, 60_000);

afterEach(() => {
  offsetMs = 0;
});

afterAll(async () => {
  await running.stop();
  await east.close();
  await west.close();
});

async function serve(access: ClusterAccess) {
  const stop = new AbortController();
  const server = await createJoinServer({
    access,
    directory: west.directory,
    listen: "127.0.0.1:0",
    clock,
    log: silentLogger,
  });
  const done = server.run(stop.signal);
  return {
    port: server.port,
    stop: async () => {
      stop.abort();
      await done;
    },
  };
}

async function invite(port = running.port): Promise<InviteToken> {
  const profile = await readClusterProfile(west.directory);
  const { certificate } = await readAuthority(join(west.directory, "pki"));
  const token = await createInvite({
    inviter: {
      cluster: profile,
      joinEndpoints: [`127.0.0.1:${port}`],
      authority: certificate,
    },
    invites: createInviteStore(west.directory),
    ttlMs: 15 * 60_000,
    nowMs: Date.now(),
  });
  return token;
}

function joinEast(token: InviteToken, access: ClusterAccess = east.access) {
  return joinCluster(token, {
    access,
    clock: systemClock,
    onProgress: () => {},
    signal,
    verifyLimitMs: 20_000,
  });
}

/** Both clusters' files, but for the book of invitations. */
async function trees() {
  const both = await Promise.all([readTree(east.directory), readTree(west.directory)]);
  return both.map((tree) =>
    Object.fromEntries(Object.entries(tree).filter(([path]) => !path.startsWith("invites"))),
  );
}

async function refused(token: InviteToken, expected: RegExp, access?: ClusterAccess) {
  const before = await trees();
  await expect(joinEast(token, access)).rejects.toThrow(expected);
  expect(await trees()).toEqual(before);
}

describe("joinCluster() refuses and leaves both sides as they were", () => {
  test("a token that has expired, by its own date", async () => {
    const token = await invite();
    await refused({ ...token, expiresAtMs: Date.now() - 1000 }, /expired at/);
  });

  test("a token that has expired, by the inviter's book", async () => {
    const token = await invite();
    offsetMs = 16 * 60_000;
    await refused(token, /the invitation expired at/);
  });

  test("a wrong secret, with the same words as a wrong invitation", async () => {
    const token = await invite();
    const secret = new InviteSecret(Buffer.alloc(16, 7));
    await refused({ ...token, secret }, /knows no such invitation/);
    await refused({ ...token, inviteId: "00".repeat(8) }, /knows no such invitation/);
  });

  test("a token that pins another authority", async () => {
    const token = await invite();
    const { certificate } = await readAuthority(join(east.directory, "pki"));
    await refused(
      { ...token, caFingerprint: certificate.fingerprint },
      /does not show the certificate authority that the token names/,
    );
  });

  test("a token of its own cluster", async () => {
    const token = await invite();
    await refused({ ...token, cluster: { ...token.cluster, name: "east" } }, /called "east"/);
  });

  test("a token whose cluster answers under another id", async () => {
    const token = await invite();
    const cluster = { ...token.cluster, id: 77 };
    await refused({ ...token, cluster }, /id 77\), but "west" \(id 2\) answers/);
  });

  test("an inviter that nobody answers for", async () => {
    const token = await invite();
    await refused({ ...token, joinEndpoints: ["127.0.0.1:1"] }, /Cannot reach "127.0.0.1:1"/);
  });

  test("clusters that do not fit together", async () => {
    const access: ClusterAccess = {
      ...east.access,
      readFacts: async (inner) => {
        const facts = await east.access.readFacts(inner);
        return { ...facts, profile: { ...facts.profile, id: 2 }, advertised: undefined };
      },
    };
    await refused(await invite(), /both have id 2/, access);
  });

  test("a joiner whose etcd the inviter does not reach", async () => {
    const access: ClusterAccess = {
      ...east.access,
      readFacts: async (inner) => {
        const facts = await east.access.readFacts(inner);
        const etcdEndpoints = ["https://127.0.0.1:1"];
        return { ...facts, profile: { ...facts.profile, etcdEndpoints } };
      },
    };
    await refused(await invite(), /cluster "west" does not reach the etcd of "east"/, access);
  });

  test("a joiner that cannot write", async () => {
    const access: ClusterAccess = {
      ...east.access,
      installPeer: () => Promise.reject(new Error("disk full")),
    };
    await refused(await invite(), /disk full/, access);
  });

  test("a connection that does not come in sync", async () => {
    const access: ClusterAccess = {
      ...east.access,
      readPeers: () => Promise.resolve([]),
    };
    const before = await trees();
    const token = await invite();
    const attempt = joinCluster(token, {
      access,
      clock: systemClock,
      onProgress: () => {},
      signal,
      verifyLimitMs: 500,
    });
    await expect(attempt).rejects.toThrow(/not in sync after/);
    expect(await trees()).toEqual(before);
    // Nothing happened, so the same token still works.
    await expect(joinEast(token)).resolves.toEqual({ cluster: "east", peer: "west" });
    await expect(joinEast(token)).rejects.toThrow(/was used already, by "east" at/);
    await disconnectClusters(
      { access: east.access, cluster: "east" },
      {
        peer: "west",
        peerSide: { access: west.access, cluster: "west" },
        force: false,
        dryRun: false,
        onLosses: () => {},
        signal,
      },
    );
  }, 60_000);
});

describe("the inviting side", () => {
  test("puts its half back when the joiner vanishes after committing", async () => {
    const before = (await trees())[1];
    const vanishing: ClusterAccess = {
      ...east.access,
      // As if the joiner's machine stopped right after the commit: no cancel, no confirm.
      readPeers: () => Promise.resolve([]),
    };
    const token = await invite();
    const abort = new AbortController();
    const attempt = joinCluster(token, {
      access: vanishing,
      clock: systemClock,
      onProgress: (line) => {
        if (line.includes("west reads east")) void running.stop();
      },
      signal: abort.signal,
      verifyLimitMs: 1_000,
    });
    await expect(attempt).rejects.toThrow();
    // The lock of a process that has ended is void; this one has not, so it is helped along.
    await rm(join(west.directory, ".connect.lock"), { force: true });
    offsetMs = 3 * 60_000;
    running = await serve(west.access);
    await eventually(async () => {
      expect((await trees())[1]).toEqual(before);
      return true;
    });
  }, 60_000);

  test("stops listening to an address that guesses", async () => {
    const token = await invite();
    const { certificate } = await readAuthority(join(west.directory, "pki"));
    const client = createJoinClient({
      endpoint: `127.0.0.1:${running.port}`,
      trustBundle: certificate.pem,
      serverName: meshServerName("west"),
      clock: systemClock,
    });
    const credential = { inviteId: Buffer.from(token.inviteId, "hex"), secret: Buffer.alloc(16) };
    for (let guess = 0; guess < 10; guess++) {
      await expect(client.check({ credential }, signal)).rejects.toMatchObject({
        code: "unauthenticated",
      });
    }
    await expect(
      client.check({ credential: { ...credential, secret: token.secret.bytes } }, signal),
    ).rejects.toMatchObject({ code: "resource_exhausted" });
    client.close();
  }, 60_000);

  test("keeps no secret on disk", async () => {
    const token = await invite();
    const secret = token.secret.bytes;
    const directory = join(west.directory, "invites");
    for (const file of await readdir(directory)) {
      const text = await readFile(join(directory, file), "utf8");
      expect(text).not.toContain(secret.toString("hex"));
      expect(text).not.toContain(secret.toString("base64"));
    }
  });
});
