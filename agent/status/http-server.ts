// /healthz, /readyz and /metrics for whoever watches the agent's process. Plain HTTP on addresses
// that the operator chose; nothing here says what runs in the cluster.
import { once } from "node:events";
import { createServer } from "node:http";
import { MeshError } from "../../mesh/core/errors.ts";
import type { Readiness } from "./readiness.ts";

export interface HttpServerOptions {
  /** `ADDRESS:PORT`. */
  readonly listen: string;
  readonly readiness: () => Readiness;
  /** The Prometheus text. */
  readonly metrics: () => Promise<string>;
}

export interface HttpServer {
  readonly port: number;
  close(): void;
}

export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const server = createServer((request, response) => {
    answer(request.url ?? "/", options).then(
      ({ status, text }) => {
        response.writeHead(status, { "content-type": "text/plain; version=0.0.4" }).end(text);
      },
      () => {
        // The reason is the agent's own business; the request only learns that it failed.
        response.writeHead(500).end("internal error\n");
      },
    );
  });
  const colon = options.listen.lastIndexOf(":");
  const host = options.listen.slice(0, colon).replace(/^\[|\]$/g, "");
  try {
    server.listen(Number(options.listen.slice(colon + 1)), host);
    await once(server, "listening");
  } catch (cause) {
    throw new MeshError("unavailable", `Cannot listen on "${options.listen}"`, { cause });
  }
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(
  url: string,
  options: HttpServerOptions,
): Promise<{ readonly status: number; readonly text: string }> {
  const [path] = url.split("?");
  switch (path) {
    case "/healthz":
      return { status: 200, text: "ok\n" };
    case "/readyz": {
      const { ready, reasons } = options.readiness();
      const text = [ready ? "ready" : "not ready", ...reasons].join("\n");
      return { status: ready ? 200 : 503, text: `${text}\n` };
    }
    case "/metrics":
      return { status: 200, text: await options.metrics() };
    default:
      return { status: 404, text: "want /healthz, /readyz or /metrics\n" };
  }
}
