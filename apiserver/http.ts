// Health, readiness and metrics over plain HTTP. No secret and no address of a peer's key is in
// any answer; the listener still belongs on loopback, because readiness names peers.
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { MeshError } from "../mesh/core/errors.ts";

export interface HealthServerOptions {
  /** `ADDRESS:PORT`. */
  readonly listen: string;
  readonly readiness: () => { readonly ready: boolean; readonly reasons: readonly string[] };
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Answers are small and immediate: whoever takes longer to ask holds a socket for nothing. */
const REQUEST_TIMEOUT_MS = 5_000;

export async function createHealthServer(options: HealthServerOptions): Promise<HealthServer> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    answer(request.url ?? "/", { response, options }).catch(() => response.destroy());
  });
  await listen(server, options.listen);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  url: string,
  { response, options }: { response: ServerResponse; options: HealthServerOptions },
): Promise<void> {
  switch (url.split("?", 1)[0]) {
    case "/healthz":
      send(response, { status: 200, text: "ok\n" });
      return;
    case "/readyz": {
      const { ready, reasons } = options.readiness();
      const text = ready ? "ok\n" : reasons.map((reason) => `${reason}\n`).join("");
      send(response, { status: ready ? 200 : 503, text });
      return;
    }
    case "/metrics": {
      const { contentType, text } = await options.metrics();
      send(response, { status: 200, text, contentType });
      return;
    }
    default:
      send(response, { status: 404, text: "want /healthz, /readyz or /metrics\n" });
  }
}

function send(
  response: ServerResponse,
  content: { status: number; text: string; contentType?: string },
): void {
  const type = content.contentType ?? "text/plain; charset=utf-8";
  response.writeHead(content.status, { "content-type": type }).end(content.text);
}

function listen(server: Server, address: string): Promise<void> {
  const [, host = "", port = ""] = /^(.+):(\d+)$/.exec(address) ?? [];
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(new MeshError("unavailable", `Cannot listen on "${address}"`, { cause })),
    );
    server.listen(Number(port), host.replace(/^\[(.*)\]$/, "$1"), resolve);
  });
}
