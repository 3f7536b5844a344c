import { describe, expect, test } from "@jest/globals";
import { createClaims, type Claims } from "../../../../apiserver/mirror/claims.ts";
import { createKindMirror, mirroredKind } from "../../../../apiserver/mirror/kind-mirror.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";
import { endpointsKind } from "../../../../mesh/kvstore/records/session-kinds.ts";
import { createTable } from "../../../../mesh/core/table.ts";
import { eventually } from "../../../fakes/eventually.ts";

const CLUSTER = { name: "west", id: 2, maxConnectedClusters: 255 } as const;

/** A record's value is the list of addresses that it speaks for. */
function createMirror(claims: Claims) {
  const mirror = createKindMirror({
    peer: "west",
    cachePrefix: "cache/west/",
    claims,
    parse: (name, value) => {
      if (value.length === 0) throw new MeshError("invalid_argument", `${name} is empty`);
      return { value, claims: value.toString().split(" ") };
    },
  });
  const put = (name: string, text: string): void => {
    mirror.table.put(name, { value: Buffer.from(text), claims: text.split(" ") });
  };
  return { mirror, put };
}

async function running(mirror: ReturnType<typeof createKindMirror>, work: () => Promise<void>) {
  const abort = new AbortController();
  const run = mirror.run(abort.signal);
  await work();
  abort.abort();
  await run;
}

describe("createKindMirror()", () => {
  test("run() carries values as they are and refuses what belongs to others", async () => {
    const claims = createClaims();
    claims.seize("east", ["10.1.0.0/24"]);
    const { mirror, put } = createMirror(claims);
    await running(mirror, async () => {
      put("good", "10.2.0.5");
      put("thief", "10.2.0.6 10.1.0.5");
      mirror.table.markSynced();
      await eventually(() => mirror.desired.synced);
      expect([...mirror.desired.entries()]).toEqual([["cache/west/good", Buffer.from("10.2.0.5")]]);
      expect(mirror.status()).toEqual({
        records: 2,
        mirrored: 1,
        claimsRefused: 1,
        latestRefusals: ['thief: 10.1.0.5 belongs to "east"'],
      });
    });
  });

  test("run() withdraws a record that begins to speak for others, and frees what it held", async () => {
    const claims = createClaims();
    claims.seize("east", ["10.1.0.0/24"]);
    const { mirror, put } = createMirror(claims);
    await running(mirror, async () => {
      put("a", "10.2.0.5");
      await eventually(() => mirror.desired.size === 1);
      put("a", "10.1.0.5");
      await eventually(() => mirror.desired.size === 0);
      expect(claims.take("north", ["10.2.0.5"])).toBeUndefined();
    });
  });

  test("adopt() serves the cache at once and claims for it; bad records are left out", () => {
    const claims = createClaims();
    const { mirror } = createMirror(claims);
    mirror.adopt("a", Buffer.from("10.2.0.5"), CLUSTER);
    mirror.adopt("b", Buffer.alloc(0), CLUSTER);
    expect([...mirror.desired.entries()]).toEqual([["cache/west/a", Buffer.from("10.2.0.5")]]);
    expect(mirror.desired.synced).toBe(false);
    expect(claims.take("north", ["10.2.0.5"])).toEqual({ prefix: "10.2.0.5", owner: "west" });
    mirror.releaseClaims();
    expect(claims.take("north", ["10.2.0.5"])).toBeUndefined();
  });

  test("review() takes in what was refused once its address is free", async () => {
    const claims = createClaims();
    claims.take("north", ["10.2.0.5"]);
    const { mirror, put } = createMirror(claims);
    await running(mirror, async () => {
      put("a", "10.2.0.5");
      await eventually(() => mirror.status().claimsRefused === 1);
      claims.release("north", ["10.2.0.5"]);
      await mirror.review("refused");
      expect(mirror.desired.size).toBe(1);
    });
  });

  test("review() puts out what stands against our own new addresses", async () => {
    const claims = createClaims();
    const { mirror, put } = createMirror(claims);
    await running(mirror, async () => {
      put("a", "10.2.0.5");
      put("b", "10.3.0.5");
      await eventually(() => mirror.desired.size === 2);
      claims.seize("east", ["10.3.0.0/24"]);
      await mirror.review("all");
      expect([...mirror.desired.entries()].map(([key]) => key)).toEqual(["cache/west/a"]);
      expect(mirror.status().latestRefusals).toEqual(['b: 10.3.0.5 belongs to "east"']);
    });
  });
});

describe("mirroredKind()", () => {
  test("keeps the peer's bytes beside the claims, by the kind's own rules", () => {
    const base = endpointsKind({
      cluster: "west",
      layout: "state",
      table: createTable({ name: "unused" }),
    });
    const kind = mirroredKind(base, ({ prefix }) => [prefix]);
    const value = Buffer.from('{"IP":"10.2.0.5","ID":131072,"Extra":1}');
    expect(kind.parse("10.2.0.5", value, CLUSTER)).toEqual({ value, claims: ["10.2.0.5"] });
    expect(() => kind.parse("10.2.0.6", value, CLUSTER)).toThrow();
  });
});
