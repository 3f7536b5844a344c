// EndpointSlices of global services in a real Kubernetes API, and changes of them at a steady rate:
// sent when they are due whether or not earlier ones are answered, so that a slow server cannot
// hide behind the changes that it holds up. The number of a change is the address of the endpoint.
import { Agent, request } from "node:https";
import type { TestKubernetes } from "../fakes/kubernetes.ts";
import { ADMIN_TOKEN } from "../fakes/kubernetes.ts";

export interface SliceLoad {
  /** Makes the namespace, services and slices. */
  fill(signal: AbortSignal): Promise<void>;
  /** Changes slices round robin; resolves when every change is answered. */
  change(
    work: { readonly rate: number; readonly count: number },
    signal: AbortSignal,
  ): Promise<Sent[]>;
  close(): void;
}

export interface Sent {
  readonly number: number;
  /** When it was to be sent; all delays count from here. */
  readonly dueNs: bigint;
  readonly answeredNs: bigint;
}

export const NAMESPACE = "bench";
export const SLICES = `/apis/discovery.k8s.io/v1beta1/namespaces/${NAMESPACE}/endpointslices`;
const SERVICES = `/api/v1/namespaces/${NAMESPACE}/services`;
const FILLERS = 16;
const CONNECTIONS = 64;

export const serviceName = (index: number): string => `service-${index}`;

/** 10.128.0.0/9 has room for eight million changes. */
export function addressOfChange(number: number): string {
  return `10.${128 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
}

/** The change whose address stands in a text, or undefined. */
export function changeOfText(text: string): number | undefined {
  const found = /\b10\.(1(?:2[89]|[3-9]\d)|2\d\d)\.(\d+)\.(\d+)\b/.exec(text);
  return found === null ? undefined : changeOfAddress(Uint8Array.from(found.slice(1).map(Number)));
}

/** The reverse, from the last bytes of an address. */
export function changeOfAddress(bytes: Uint8Array): number {
  const [a = 0, b = 0, c = 0] = bytes.subarray(-3);
  return ((a & 127) << 16) | (b << 8) | c;
}

export function createSliceLoad(kubernetes: TestKubernetes, services: number): SliceLoad {
  // Changes that wait for a free one are late, and their delays say so; more connections would only
  // keep a server that is behind busy with handshakes.
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  let next = services;
  /** By slice. Two changes of one under way at once might come out in either order. */
  const lastOf = new Map<number, Promise<bigint>>();

  function patchInTurn(number: number): Promise<bigint> {
    const slice = number % services;
    const before = lastOf.get(slice) ?? Promise.resolve(0n);
    const answered = before.then(() => patch(number));
    lastOf.set(slice, answered);
    return answered;
  }

  async function patch(number: number): Promise<bigint> {
    const path = `${SLICES}/${serviceName(number % services)}`;
    await patchSlice({ port: kubernetes.port, agent, path, address: addressOfChange(number) });
    return process.hrtime.bigint();
  }

  return {
    async fill(signal) {
      const body = { metadata: { name: NAMESPACE } };
      await kubernetes.call({ method: "POST", path: "/api/v1/namespaces", body });
      const left = Array.from({ length: services }, (_, index) => index).values();
      const work = async (): Promise<void> => {
        for (const index of left) {
          signal.throwIfAborted();
          const [service, slice] = objects(index);
          await kubernetes.call({ method: "POST", path: SERVICES, body: service });
          await kubernetes.call({ method: "POST", path: SLICES, body: slice });
        }
      };
      await Promise.all(Array.from({ length: FILLERS }, work));
    },
    async change({ rate, count }, signal) {
      const sent: Promise<Sent>[] = [];
      const startNs = process.hrtime.bigint();
      while (sent.length < count) {
        signal.throwIfAborted();
        const elapsedNs = Number(process.hrtime.bigint() - startNs);
        const due = Math.min(count, Math.floor((elapsedNs * rate) / 1e9) + 1);
        while (sent.length < due) {
          const dueNs = startNs + BigInt(Math.round((sent.length * 1e9) / rate));
          const number = next++;
          sent.push(patchInTurn(number).then((answeredNs) => ({ number, dueNs, answeredNs })));
        }
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      return Promise.all(sent);
    },
    close: () => agent.destroy(),
  };
}

function objects(index: number): [service: object, slice: object] {
  const name = serviceName(index);
  return [
    {
      metadata: { name, annotations: { "service.cilium.io/global": "true" } },
      spec: { ports: [{ name: "http", port: 80 }] },
    },
    {
      metadata: { name, labels: { "kubernetes.io/service-name": name } },
      addressType: "IPv4",
      ports: [{ name: "http", port: 8080, protocol: "TCP" }],
      endpoints: [{ addresses: [addressOfChange(index)] }],
    },
  ];
}

function patchSlice(call: {
  port: number;
  agent: Agent;
  path: string;
  address: string;
}): Promise<void> {
  const { port, agent, path, address } = call;
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: "127.0.0.1",
        port,
        method: "PATCH",
        path,
        agent,
        rejectUnauthorized: false,
        headers: {
          authorization: `Bearer ${ADMIN_TOKEN}`,
          "content-type": "application/merge-patch+json",
        },
      },
      (response) => {
        response.resume();
        response.on("end", () => {
          if (response.statusCode === 200) resolve();
          else reject(new Error(`Cannot change ${path}: ${response.statusCode}`));
        });
      },
    );
    sent.on("error", reject);
    sent.end(JSON.stringify({ endpoints: [{ addresses: [address] }] }));
  });
}
