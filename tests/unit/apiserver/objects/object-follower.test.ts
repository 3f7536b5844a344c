import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createObjectDirectory } from "../../../../apiserver/objects/directory.ts";
import {
  createObjectFollower,
  type ObjectFollower,
} from "../../../../apiserver/objects/object-follower.ts";
import { clusterPaths } from "../../../../mesh/contexts/cluster-directory.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import type { ApiRequest, KubernetesTransport } from "../../../../mesh/kubernetes/transport.ts";
import { initialisePki } from "../../../../pki/files.ts";
import { createFakeClock, type FakeClock } from "../../../fakes/clock.ts";
import { eventually } from "../../../fakes/eventually.ts";

const NOW = Date.UTC(2026, 0, 1);
const DAY_MS = 24 * 3_600_000;
const SECRETS = "/api/v1/namespaces/mesh/secrets";
const PROFILE = {
  name: "east",
  id: 1,
  maxConnectedClusters: 255,
  etcdEndpoints: ["https://192.0.2.1:32379"],
  joinEndpoint: "192.0.2.1:32381",
} as const;

/** Holds no objects, keeps what it was asked to write, and lets watches wait. */
class EmptyApi implements KubernetesTransport {
  readonly server = "https://empty";
  readonly writes: ApiRequest[] = [];
  /** Paths whose lists are not answered. */
  readonly silent = new Set<string>();
  refusesWrites = false;

  async send(request: ApiRequest, signal: AbortSignal) {
    const { method = "GET", path } = request;
    const [place = ""] = path.split("?");
    if (path.includes("watch=1") || this.silent.has(place)) return aborted(signal);
    if (method === "GET") {
      const single = place.endsWith("tombolo-ca") || place.endsWith("tombolo-cluster");
      return single
        ? answer(503, { message: "asleep" })
        : answer(200, { metadata: { resourceVersion: "1" }, items: [] });
    }
    if (this.refusesWrites) return answer(403, { message: "not yours" });
    this.writes.push(request);
    return answer(201, request.body ?? {});
  }
}

function answer(status: number, body: object) {
  return { status, body: chunks(JSON.stringify(body)) };
}

async function* chunks(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new MeshError("aborted", "aborted")));
  });
}

let oldPki: string;
let root: string;
let api: EmptyApi;
let clock: FakeClock;
let follower: ObjectFollower;
let stop: () => Promise<void>;

beforeAll(async () => {
  // Two years old: leaves live for three, and are renewed in the last.
  oldPki = await mkdtemp(join(tmpdir(), "tombolo-follower-pki-"));
  await initialisePki(oldPki, { cluster: "east", nowMs: NOW - 740 * DAY_MS });
}, 60_000);

afterAll(() => rm(oldPki, { recursive: true, force: true }));

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "tombolo-follower-"));
  await cp(oldPki, clusterPaths(root).pki, { recursive: true });
  await createObjectDirectory(root, { log: silentLogger }).writeProfile(PROFILE);
  api = new EmptyApi();
  clock = createFakeClock(NOW);
  follower = createObjectFollower({
    transport: api,
    namespace: "mesh",
    root,
    clock,
    random: () => 0.5,
    log: silentLogger,
  });
});

afterEach(async () => {
  await stop();
  await rm(root, { recursive: true, force: true });
});

async function start(): Promise<void> {
  const abort = new AbortController();
  await follower.prepare(abort.signal);
  const running = follower.run(abort.signal);
  stop = async () => {
    abort.abort();
    await running;
  };
}

/** The certificates that agents were given, first to last. */
function published(): string[] {
  return api.writes
    .map(({ body }) => body as { metadata: { name: string }; data: Record<string, string> })
    .filter(({ metadata }) => metadata.name === "tombolo-agent")
    .map(({ data }) => Buffer.from(data["local.crt"] ?? "", "base64").toString());
}

const isWhole = (): Promise<boolean> => {
  const probe = new AbortController();
  const whole = follower.peersWhole(probe.signal).then(() => !probe.signal.aborted);
  // What is resolved is resolved before a turn of the event loop has passed.
  setImmediate(() => probe.abort());
  return whole;
};

/** Time goes on meanwhile: passes over the directory have a distance. */
const soon = <T>(check: () => T | Promise<T>): Promise<Exclude<T, false | null | undefined>> =>
  eventually(async () => {
    await clock.advance(200);
    return check();
  });

describe("createObjectFollower()", () => {
  test("publishes the agents' certificate, and a new one in good time", async () => {
    await start();
    const [first] = await soon(() => published().length > 0 && published());
    const localCertificate = join(clusterPaths(root).pki, "local.crt");
    expect(first).toBe(await readFile(localCertificate, "utf8"));
    await clock.advance(DAY_MS);
    const last = await soon(() => published().find((certificate) => certificate !== first));
    expect(last).toBe(await readFile(localCertificate, "utf8"));
  }, 60_000);

  test("puts the authority's Secret back", async () => {
    await start();
    const names = (): string[] =>
      api.writes.map(({ body }) => (body as { metadata: { name: string } }).metadata.name);
    await soon(() => names().includes("tombolo-ca"));
    expect(api.writes.every(({ method, path }) => method === "POST" && path === SECRETS)).toBe(
      true,
    );
  });

  test("knows the peers whole when their list was read and written", async () => {
    api.silent.add(SECRETS);
    await start();
    await clock.settle();
    expect(await isWhole()).toBe(false);
    expect(published()).toEqual([]);
  });

  test("or was once, in the same directory", async () => {
    await createObjectDirectory(root, { log: silentLogger }).markWhole();
    api.silent.add(SECRETS);
    await start();
    await soon(isWhole);
  });

  test("names what it may not write, and tries again", async () => {
    api.refusesWrites = true;
    await start();
    const isNamed = (): boolean =>
      follower.problems().some(({ message }) => message.includes("not yours"));
    await soon(isNamed);
    api.refusesWrites = false;
    await soon(() => published().length > 0);
    await soon(() => !isNamed());
  });
});
