// Objects of every kind that the source follows, made, changed and deleted by a seed, so that a
// run can be repeated. It writes to the API server and remembers only names.
import type { TestKubernetes } from "../fakes/kubernetes.ts";

export interface Churn {
  /** Makes all objects. */
  fill(): Promise<void>;
  /** One round: deletes, makes anew and changes some of them. */
  change(): Promise<void>;
  /** What is there now; the function that it returns believes in it again. */
  remember(): () => void;
}

/** 5,000 objects together. */
const NAMESPACES = 10;
const NODES = 40;
const PODS = 2_750;
const SERVICES = 800;
const SLICES = 1_400;
/** Objects that one round touches. */
const ROUND = 500;
/** Requests under way at a time; the API server allows far more. */
const PARALLEL = 16;

interface Place {
  readonly collection: string;
  readonly name: string;
  body(version: number): object;
}

export function createChurn(
  kubernetes: TestKubernetes,
  { random }: { random: () => number },
): Churn {
  const places = [...pods(), ...services(), ...slices()];
  const alive = new Set<Place>();
  let version = 0;

  const create = async (place: Place): Promise<void> => {
    const body = place.body(version);
    await kubernetes.call({ method: "POST", path: place.collection, body });
    alive.add(place);
  };
  const remove = async (place: Place): Promise<void> => {
    const path = `${place.collection}/${place.name}?gracePeriodSeconds=0`;
    await kubernetes.call({ method: "DELETE", path });
    alive.delete(place);
  };
  const relabel = async (place: Place): Promise<void> => {
    const body = { metadata: { labels: { version: String(version) } } };
    await kubernetes.call({ method: "PATCH", path: `${place.collection}/${place.name}`, body });
  };

  return {
    async fill() {
      await inParallel([...namespaces(), ...nodes()], create);
      await inParallel(places, create);
    },
    async change() {
      version++;
      const touched = new Set<Place>();
      while (touched.size < ROUND) {
        const place = places[Math.floor(random() * places.length)];
        if (place !== undefined) touched.add(place);
      }
      const dice = new Map([...touched].map((place) => [place, random()]));
      await inParallel([...touched], async (place) => {
        if (!alive.has(place)) await create(place);
        else if ((dice.get(place) ?? 0) < 0.5) await remove(place);
        else await relabel(place);
      });
    },
    remember() {
      const then = [...alive];
      return () => {
        alive.clear();
        for (const place of then) alive.add(place);
      };
    },
  };
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const worker = async (): Promise<void> => {
    for (const item of left) await work(item);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

/** Numbers in [0, 1) that follow from the seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const namespaceOf = (i: number): string => `churn-${i % NAMESPACES}`;

function namespaces(): Place[] {
  return numbers(NAMESPACES).map((i) => ({
    collection: "/api/v1/namespaces",
    name: namespaceOf(i),
    body: () => ({ metadata: { name: namespaceOf(i) } }),
  }));
}

function nodes(): Place[] {
  return numbers(NODES).map((i) => ({
    collection: "/api/v1/nodes",
    name: `node-${i}`,
    body: () => ({ metadata: { name: `node-${i}` }, spec: { podCIDR: `10.1.${i}.0/24` } }),
  }));
}

function pods(): Place[] {
  return numbers(PODS).map((i) => ({
    collection: `/api/v1/namespaces/${namespaceOf(i)}/pods`,
    name: `pod-${i}`,
    body: (version) => ({
      metadata: { name: `pod-${i}`, labels: { app: `app-${i % 40}`, version: String(version) } },
      spec: {
        nodeName: `node-${i % NODES}`,
        containers: [{ name: "c", image: "i", ports: [{ name: "http", containerPort: 8080 }] }],
      },
    }),
  }));
}

function services(): Place[] {
  return numbers(SERVICES).map((i) => ({
    collection: `/api/v1/namespaces/${namespaceOf(i)}/services`,
    name: `service-${i}`,
    body: (version) => ({
      metadata: {
        name: `service-${i}`,
        annotations: { "service.cilium.io/global": version % 2 === 0 ? "true" : "false" },
      },
      spec: { selector: { app: `app-${i % 40}` }, ports: [{ name: "http", port: 80 }] },
    }),
  }));
}

function slices(): Place[] {
  return numbers(SLICES).map((i) => ({
    collection: `/apis/discovery.k8s.io/v1beta1/namespaces/${namespaceOf(i)}/endpointslices`,
    name: `slice-${i}`,
    body: (version) => ({
      metadata: {
        name: `slice-${i}`,
        labels: { "kubernetes.io/service-name": `service-${i % SERVICES}` },
      },
      addressType: "IPv4",
      ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      endpoints: [{ addresses: [`10.1.${i % NODES}.${(i + version) % 250}`] }],
    }),
  }));
}
