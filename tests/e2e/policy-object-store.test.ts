// The four documents that people write for an object store, applied unchanged, on real packets; and
// what the commands about policy say of them.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { SteadyClient } from "../../deploy/lab/steady-client.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { eventually } from "../fakes/eventually.ts";
import type { Applied } from "../policy/documents.ts";
import {
  OBJECT_STORE_FILES,
  OBJECT_STORE_NAMESPACE,
  OBJECT_STORE_PODS,
  OBJECT_STORE_VERDICTS,
  objectStoreDocument,
} from "../policy/object-store.ts";
import { evaluate } from "../policy/reference.ts";
import { packetFromText, packetName } from "../policy/world.ts";
import { applyPolicies, openPolicyLab, type PolicyLab } from "./policy-lab.ts";
import { createTestLab, mustSucceed, never, startClient, UP_LIMIT_MS } from "./test-lab.ts";

const LIMIT_MS = 180_000;
/** Far beyond what an answer takes; what is dropped costs all of it. */
const PROBE_LIMIT_MS = 3_000;

const lab = createTestLab("store");
let store: PolicyLab;
let inForce: readonly Applied[] = [];

beforeAll(async () => {
  mustSucceed(await lab.up(["--clusters", "east,west", "--nodes", "2"]));
  mustSucceed(await lab.mesh(["connect", "east", "west"]));
  store = await openPolicyLab(await lab.open(), OBJECT_STORE_PODS);
}, UP_LIMIT_MS);

afterAll(async () => {
  await store.close();
  await lab.remove();
}, LIMIT_MS);

describe("documents of an object store", () => {
  for (const name of OBJECT_STORE_FILES) {
    test(
      `${name}: packets pass and are dropped as is written down`,
      async () => {
        await apply([objectStoreDocument(name)]);
        const cases = [4, 6].flatMap((family) =>
          Object.entries(OBJECT_STORE_VERDICTS[name] ?? {}).map(([text, allowed]) => ({
            packet: packetFromText(store.world, text, family === 4 ? 4 : 6),
            allowed,
          })),
        );
        const came = await store.probe(
          cases.map(({ packet }) => packet),
          PROBE_LIMIT_MS,
        );
        const found = cases.map(({ packet }, i) => [packetName(packet), came[i]]);
        expect(found).toEqual(cases.map(({ packet, allowed }) => [packetName(packet), allowed]));
      },
      LIMIT_MS,
    );
  }

  test(
    "a connection that exists ends when it is no longer allowed, another one goes on",
    async () => {
      await apply([]);
      const clients = await Promise.all(["stranger", "frontend"].map(startKept));
      await moreOf(clients, 20);
      expect(clients.flatMap(({ records }) => records.filter(({ error }) => error))).toEqual([]);
      await apply([objectStoreDocument("frontend-ingress")]);
      const enforcedAtMs = systemClock.nowMs();
      await moreOf(clients, 20);
      await Promise.all(clients.map((client) => client.stop()));
      const answered = clients.map(({ records }) =>
        records
          .filter(({ sentAtMs }) => sentAtMs > enforcedAtMs)
          .map(({ error }) => error === undefined),
      );
      // Nobody tells the client: its packets are dropped without a word.
      expect(answered.map((one) => [...new Set(one)])).toEqual([[false], [true]]);
    },
    LIMIT_MS,
  );

  test(
    "all four together: what any allows passes, all else does not",
    async () => {
      const documents = OBJECT_STORE_FILES.map(objectStoreDocument);
      await apply(documents);
      const texts = new Set(Object.values(OBJECT_STORE_VERDICTS).flatMap(Object.keys));
      const packets = [...texts].map((text) => packetFromText(store.world, text, 6));
      const wanted = packets.map((packet) => [
        packetName(packet),
        evaluate(store.world, documents, packet).allowed,
      ]);
      const came = await store.probe(packets, PROBE_LIMIT_MS);
      expect(packets.map((packet, i) => [packetName(packet), came[i]])).toEqual(wanted);
      expect(new Set(came).size).toBe(2);
    },
    LIMIT_MS,
  );
});

describe("commands", () => {
  const node = ["--node", "east-node1"];
  const json = ["--output", "json"];
  const read = async (words: readonly string[]): Promise<unknown> =>
    JSON.parse((await lab.mesh([...words, ...json])).stdout);

  beforeAll(() => apply(OBJECT_STORE_FILES.map(objectStoreDocument)), LIMIT_MS);

  test(
    "policy list, get and explain name the documents and what they come to",
    async () => {
      expect(await read(["policy", "list", ...node])).toMatchObject(
        ["minio-clients", "minio-dns", "minio-frontend", "minio-peers"].map((name) => ({
          kind: "CiliumNetworkPolicy",
          namespace: "store",
          name,
          endpoints: ["store/minio-0"],
          inForce: true,
          refusals: [],
        })),
      );
      const dns = mustSucceed(await lab.mesh(["policy", "get", "store/minio-dns", ...node]));
      expect(dns).toContain("drops what goes out unless it is allowed");
      expect(dns).toContain("kube-dns");
      const words = ["policy", "explain", "store/minio-0", ...node];
      expect(mustSucceed(await lab.mesh(words))).toContain(
        "CiliumNetworkPolicy/store/minio-dns spec.egress[0]",
      );
    },
    LIMIT_MS,
  );

  test(
    "policy trace says the same as the documents at both ends, and so does the datapath",
    async () => {
      const documents = OBJECT_STORE_FILES.map(objectStoreDocument);
      const of = (name: string): string => {
        const pod = OBJECT_STORE_PODS.find((one) => one.name === name);
        return `${pod?.namespace}/${name}@${pod?.cluster}`;
      };
      const cases = [
        ["frontend", "minio-0", 9000],
        ["frontend", "minio-0", 443],
        ["frontend-in-west", "minio-1", 9000],
        ["minio-0", "minio-1", 9000],
        ["minio-1", "kube-dns", 443],
      ] as const;
      for (const [from, to, port] of cases) {
        const packet = packetFromText(store.world, `${from} > ${to} TCP ${port}`, 4);
        const { allowed } = evaluate(store.world, documents, packet);
        const ends = ["--from", of(from), "--to", of(to), "--port", `${port}/TCP`];
        const result = await lab.mesh(["policy", "trace", ...ends, ...json]);
        const said = JSON.parse(result.stdout) as { allowed: boolean; ends: unknown[] };
        expect({ ends, allowed: said.allowed, status: result.status }).toEqual({
          ends,
          allowed,
          status: allowed ? 0 : 1,
        });
        expect(said.ends).toMatchObject([{ differs: false }, { differs: false }]);
      }
    },
    LIMIT_MS,
  );

  test(
    "endpoint, identity and bpf show the pod, its labels, its entries and its connections",
    async () => {
      const endpoint = (await read(["endpoint", "get", "store/minio-0", ...node])) as {
        identity: number;
        interfaceIndex: number;
        entries: unknown[];
      };
      expect(endpoint).toMatchObject({
        inForce: true,
        ingressDefaultDeny: true,
        egressDefaultDeny: true,
      });
      expect(endpoint.entries.length).toBeGreaterThan(4);
      mustSucceed(await lab.mesh(["endpoint", "list", ...node]));
      const identity = ["identity", "get", String(endpoint.identity), ...node];
      expect(mustSucceed(await lab.mesh(identity))).toContain("k8s:app=minio");
      expect(mustSucceed(await lab.mesh(["identity", "list", ...node]))).toContain("west");
      const maps = (await read(["bpf", "policy", ...node])) as {
        ifindex: number;
        entries: unknown[];
      }[];
      const map = maps.find(({ ifindex }) => ifindex === endpoint.interfaceIndex);
      expect(map?.entries).toHaveLength(endpoint.entries.length);
      // One that has no end of its own, unlike those over TCP.
      const lookup = packetFromText(store.world, "minio-0 > kube-dns UDP 53", 4);
      expect(await store.probe([lookup], PROBE_LIMIT_MS)).toEqual([true]);
      expect(mustSucceed(await lab.mesh(["bpf", "ct", ...node]))).toMatch(/UDP .*:53 +by pod/);
    },
    LIMIT_MS,
  );

  test(
    "observe shows a connection with the rule that allowed it, and a drop with its reason",
    async () => {
      const packets = ["frontend > minio-0 TCP 9000", "stranger > minio-0 TCP 9000"];
      await store.probe(
        packets.map((text) => packetFromText(store.world, text, 4)),
        PROBE_LIMIT_MS,
      );
      const flows = async (words: readonly string[]): Promise<unknown[]> => {
        const result = await lab.mesh(["observe", "--last", "200", ...node, ...words, ...json]);
        const lines = mustSucceed(result).split("\n");
        return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as unknown);
      };
      await eventually(
        async () => {
          const allowed = await flows(["--pod", "store/frontend", "--verdict", "forwarded"]);
          expect(allowed).toContainEqual(
            expect.objectContaining({
              verdict: "forwarded",
              direction: "ingress",
              rule: expect.objectContaining({ path: "spec.ingress[0]" }) as unknown,
            }),
          );
          const dropped = await flows(["--label", "app=stranger", "--verdict", "dropped"]);
          expect(dropped).toContainEqual(
            expect.objectContaining({
              verdict: "dropped",
              direction: "ingress",
              destination: expect.objectContaining({ pod: "minio-0", port: 9000 }) as unknown,
            }),
          );
          return true;
        },
        { limitMs: LIMIT_MS, what: "flow records are kept", pollMs: 200 },
      );
    },
    LIMIT_MS,
  );
});

/** Requests to the store's first pod over one connection a family. */
function startKept(pod: string): Promise<SteadyClient> {
  const { to } = packetFromText(store.world, "stranger > minio-0 TCP 9000", 4);
  return startClient(store.host, {
    pod: `east/${OBJECT_STORE_NAMESPACE}/${pod}`,
    targets: [to.ipv4, `[${to.ipv6}]`].map((address) => `tcp:${address}:9000`),
    intervalMs: 50,
    timeoutMs: 2_000,
    keep: true,
  });
}

async function moreOf(clients: readonly SteadyClient[], count: number): Promise<void> {
  const waiting = { limitMs: LIMIT_MS, what: `${count} more requests`, signal: never };
  const enough = clients.map(({ records }) => records.length + count);
  await Promise.all(
    clients.map((client, i) =>
      client.waitUntil(({ length }) => length >= (enough[i] ?? 0), waiting),
    ),
  );
}

async function apply(documents: readonly Applied[]): Promise<void> {
  const wanted = new Set(documents.map(({ document }) => document.metadata.name));
  const gone = inForce.filter(({ document }) => !wanted.has(document.metadata.name));
  await applyPolicies(store, { from: gone, to: documents });
  inForce = documents;
}
