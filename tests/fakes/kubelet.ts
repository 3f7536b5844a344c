// The half of a kubelet that `exec` needs, behind a real API server: it takes the WebSocket that the
// API server passes on, runs what the test says for that pod, and answers as a kubelet does.
import { createHash } from "node:crypto";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { PassThrough, type Duplex } from "node:stream";
import { createCertificateAuthority, issueServer } from "../../pki/issue.ts";
import type { TestKubernetes } from "./kubernetes.ts";
import { createFrameReader, frame } from "./websocket-frames.ts";

export interface KubeletCall {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly argv: readonly string[];
}

export interface KubeletAnswer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that reads while it writes; its input ends with the connection. */
export interface KubeletProgram {
  run(input: PassThrough, output: PassThrough): Promise<Omit<KubeletAnswer, "stdout">>;
}

/** "silent" never answers; "cut" ends the connection without a word. */
export type KubeletHand = (
  call: KubeletCall,
) => Promise<KubeletAnswer | KubeletProgram | "silent" | "cut">;

export interface TestKubelet {
  readonly node: string;
  /** Makes a pod that runs on this node. */
  addPod(options: { namespace: string; name: string; labels: object }): Promise<void>;
  close(): Promise<void>;
}

const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const CHUNK_BYTES = 32 * 1024;

export async function startTestKubelet(
  kubernetes: TestKubernetes,
  { node, run }: { readonly node: string; readonly run: KubeletHand },
): Promise<TestKubelet> {
  const { certificate, privateKey } = await issueServer(
    await createCertificateAuthority("kubelet", Date.now()),
    Date.now(),
  );
  const server = createServer({ cert: certificate.pem, key: privateKey.encodePem() });
  const sockets = new Set<Duplex>();
  server.on("upgrade", (request, socket: Duplex) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {}); // Whoever asked has given up.
    const key = request.headers["sec-websocket-key"] ?? "";
    const accept = createHash("sha1").update(`${key}${WEBSOCKET_GUID}`).digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n\r\n`,
    );
    void serve(socket, { call: parseCall(request.url ?? ""), run });
  });
  const port = await listen(server);
  const addresses = [{ type: "InternalIP", address: "127.0.0.1" }];
  const status = { addresses, daemonEndpoints: { kubeletEndpoint: { Port: port } } };
  const nodes = "/api/v1/nodes";
  await kubernetes.call({ method: "POST", path: nodes, body: { metadata: { name: node } } });
  const path = `${nodes}/${node}/status`;
  await kubernetes.call({ method: "PATCH", path, body: { status } });
  return {
    node,
    async addPod({ namespace, name, labels }) {
      const pods = `/api/v1/namespaces/${namespace}/pods`;
      const containers = ["apiserver", "agent"].map((container) => ({
        name: container,
        image: "none",
      }));
      const body = { metadata: { name, labels }, spec: { nodeName: node, containers } };
      await kubernetes.call({ method: "POST", path: pods, body });
      const conditions = [{ type: "Ready", status: "True" }];
      const running = { status: { phase: "Running", conditions } };
      await kubernetes.call({ method: "PATCH", path: `${pods}/${name}/status`, body: running });
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function serve(
  socket: Duplex,
  { call, run }: { call: KubeletCall; run: KubeletHand },
): Promise<void> {
  const hand = await run(call);
  if (hand === "silent") return;
  const answer = typeof hand === "object" && "run" in hand ? await interact(socket, hand) : hand;
  if (answer !== "cut") {
    for (const [channel, text] of [
      [1, answer.stdout],
      [2, answer.stderr],
    ] as const) {
      const bytes = Buffer.from(text);
      for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
        socket.write(frame(channel, bytes.subarray(start, start + CHUNK_BYTES)));
      }
    }
    socket.write(frame(3, Buffer.from(JSON.stringify(statusOf(answer.status)))));
  }
  socket.end();
}

/** What it writes is sent as it comes. */
async function interact(socket: Duplex, program: KubeletProgram): Promise<KubeletAnswer> {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const take = createFrameReader((channel, bytes) => {
    if (channel === 0) input.write(bytes);
  });
  socket.on("data", take);
  socket.once("close", () => input.end());
  output.on("data", (bytes: Buffer) => {
    for (let start = 0; start < bytes.length; start += CHUNK_BYTES) {
      socket.write(frame(1, bytes.subarray(start, start + CHUNK_BYTES)));
    }
  });
  return { stdout: "", ...(await program.run(input, output)) };
}

function statusOf(exitCode: number): object {
  if (exitCode === 0) return { metadata: {}, status: "Success" };
  const causes = [{ reason: "ExitCode", message: String(exitCode) }];
  return { metadata: {}, status: "Failure", reason: "NonZeroExitCode", details: { causes } };
}

/** `/exec/NAMESPACE/POD/CONTAINER?command=…&command=…`. */
function parseCall(path: string): KubeletCall {
  const url = new URL(path, "https://kubelet");
  const [, , namespace = "", pod = "", container = ""] = url.pathname.split("/");
  return { namespace, pod, container, argv: url.searchParams.getAll("command") };
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}
