// Three real nats-servers, each with its cluster's own authority, in a full mesh of leaf nodes:
// what passes between clusters, what does not, and links that come and go while the servers run.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { connect } from "nats";
import { linksOf, readNatsReport } from "../../apiserver/nats/monitor.ts";
import { askQuestion, serveQuestions } from "../../mesh/operations/ask.ts";
import type { OperationsConnection } from "../../mesh/operations/connection.ts";
import { STREAMS } from "../../mesh/operations/streams.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { eventually } from "../fakes/eventually.ts";
import { remoteTls, startTestNats, type TestNats, type TestPeer } from "../fakes/nats.ts";

const NAMES = ["east", "north", "west"] as const;
const end = new AbortController();
const running: Promise<void>[] = [];
const servers = new Map<string, TestNats>();
const admins = new Map<string, OperationsConnection>();
const locals = new Map<string, OperationsConnection>();

const of = <T>(map: ReadonlyMap<string, T>, name: string): T => {
  const found = map.get(name);
  if (found === undefined) throw new Error(`There is no "${name}"`);
  return found;
};

async function peersOf(name: string, others: readonly string[]): Promise<TestPeer[]> {
  return Promise.all(
    others.map(async (other) => {
      if (name > other) return { name: other };
      const server = of(servers, other);
      const endpoints = [`127.0.0.1:${server.leafPort}`];
      return { name: other, dial: { endpoints, tls: await remoteTls(name, server) } };
    }),
  );
}

const link = async (names: readonly string[], acceptQuestions = true): Promise<void> => {
  for (const name of names) {
    const others = names.filter((other) => other !== name);
    await of(servers, name).configure({ peers: await peersOf(name, others), acceptQuestions });
  }
};

const linksAre = (wanted: Readonly<Record<string, readonly string[]>>): Promise<unknown> =>
  eventually(async () => {
    for (const [name, peers] of Object.entries(wanted)) {
      const report = await readNatsReport(of(servers, name).monitor, {
        clock: systemClock,
        signal: end.signal,
      });
      expect(report.links).toEqual(peers);
    }
    return true;
  });

const idsIn = async (name: string): Promise<string[]> => {
  const stored = await of(admins, name).read("EVENTS", { filter: "tombolo.events.>" }, end.signal);
  return stored.map(({ data }) => data.toString()).sort();
};

beforeAll(async () => {
  for (const name of NAMES) servers.set(name, await startTestNats(name));
  for (const name of NAMES) {
    for (const [map, as] of [
      [admins, "admin"],
      [locals, "local"],
    ] as const) {
      const connection = of(servers, name).connection(as);
      running.push(connection.run(end.signal));
      await connection.ready(end.signal);
      map.set(name, connection);
    }
    for (const stream of STREAMS) await of(admins, name).ensureStream(stream, end.signal);
  }
});

afterAll(async () => {
  end.abort();
  await Promise.all(running);
  for (const server of servers.values()) await server.close();
});

describe("leaf links of nats-servers", () => {
  test("come while the servers run, and each event is everywhere exactly once", async () => {
    await link(NAMES);
    await linksAre({ east: ["north", "west"], north: ["east", "west"], west: ["east", "north"] });
    for (const name of NAMES) {
      for (const n of [1, 2, 3]) {
        const subject = `tombolo.events.${name}.drain`;
        of(locals, name).publish({ subject, data: `${name} ${n}`, id: `${name}-${n}` });
      }
    }
    const all = NAMES.flatMap((name) => [1, 2, 3].map((n) => `${name} ${n}`));
    for (const name of NAMES) {
      await eventually(async () => expect(await idsIn(name)).toEqual(all) ?? true);
    }
    // What went round in a circle would be here by now: an event of each has come after it.
    for (const name of NAMES) expect(await idsIn(name)).toHaveLength(all.length);
  });

  test("carry questions to a peer that takes them, and refuse them where it does not", async () => {
    const place = { cluster: "west", node: "west-1" };
    const handler = async (): Promise<string> => "here";
    running.push(serveQuestions(of(locals, "west"), { place, handler }, end.signal));
    const question = { to: place, question: { ask: "hello" } as const, timeoutMs: 1_000 };
    const ask = (name: string): Promise<unknown> =>
      askQuestion(of(admins, name), question, end.signal);
    for (const name of NAMES) {
      await eventually(async () => expect(await ask(name)).toBe("here") ?? true);
    }
    await of(servers, "west").configure({
      peers: await peersOf("west", ["east", "north"]),
      acceptQuestions: false,
    });
    await eventually(() =>
      expect(ask("east"))
        .rejects.toMatchObject({ code: expect.stringMatching(/unavailable|deadline_exceeded/) })
        .then(() => true),
    );
    await eventually(async () => expect(await ask("west")).toBe("here") ?? true);
    await link(NAMES);
    await linksAre({ east: ["north", "west"], north: ["east", "west"], west: ["east", "north"] });
  });

  test("let nobody speak as somebody else: neither an agent nor a peer's whole server", async () => {
    of(locals, "east").publish({ subject: "tombolo.events.west.drain", data: "lie", id: "lie-1" });
    await eventually(() => of(locals, "east").status().dropped === 1);
    // The owner of a server may write into any of its accounts; ours must not take it over.
    const liar = await of(servers, "east").client("admin");
    for (const subject of ["tombolo.events.west.drain", "tombolo.events.north.drain"]) {
      liar.publish(subject, "lie");
    }
    liar.publish("tombolo.events.east.drain", "true");
    await liar.flush();
    await liar.close();
    for (const name of ["west", "north"]) {
      await eventually(async () => expect(await idsIn(name)).toContain("true") ?? true);
      expect(await idsIn(name)).not.toContain("lie");
    }
  });

  test("refuse clients without a certificate, peers as clients, and agents' reading", async () => {
    const west = of(servers, "west");
    const tls = await remoteTls("east", west);
    const asClient = { ca: tls.caBundle, servername: "west.mesh.cilium.io" };
    const servers_ = `127.0.0.1:${west.port}`;
    const attempt = (options: object): Promise<unknown> =>
      connect({ servers: servers_, tls: { ...asClient, ...options }, reconnect: false });
    await expect(attempt({})).rejects.toThrow();
    await expect(attempt({ cert: tls.certificate, key: tls.key })).rejects.toThrow(
      /AUTHORIZATION/i,
    );
    await expect(
      of(locals, "west").read("EVENTS", { filter: "tombolo.events.>" }, end.signal),
    ).rejects.toMatchObject({ code: expect.stringMatching(/denied|deadline|unavailable/) });
  });

  test("go when a peer goes, and a certificate of somebody else makes none", async () => {
    await link(["east", "north"]);
    await of(servers, "west").configure({ peers: [] });
    await linksAre({ east: ["north"], north: ["east"], west: [] });
    // East dials west with what north's authority has signed.
    const west = of(servers, "west");
    const wrong = await remoteTls("east", of(servers, "north"));
    const right = await remoteTls("east", west);
    const endpoints = [`127.0.0.1:${west.leafPort}`];
    await west.configure({ peers: [{ name: "east" }] });
    await of(servers, "east").configure({
      peers: [
        ...(await peersOf("east", ["north"])),
        { name: "west", dial: { endpoints, tls: { ...wrong, caBundle: right.caBundle } } },
      ],
    });
    await eventually(async () => {
      const answer = await fetch(`http://${west.monitor}/varz`);
      const { total_connections: total } = (await answer.json()) as { total_connections: number };
      return total > 0;
    });
    await linksAre({ east: ["north"], west: [] });
    await of(servers, "east").configure({ peers: await peersOf("east", ["north", "west"]) });
    await linksAre({ east: ["north", "west"], west: ["east"] });
    expect(linksOf({})).toEqual([]);
  });
});
