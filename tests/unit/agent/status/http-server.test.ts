import { afterEach, describe, expect, test } from "@jest/globals";
import { startHttpServer, type HttpServer } from "../../../../agent/status/http-server.ts";
import type { Readiness } from "../../../../agent/status/readiness.ts";

describe("startHttpServer()", () => {
  let server: HttpServer | undefined;
  afterEach(() => server?.close());

  async function ask(
    path: string,
    options: { readiness?: Readiness; metrics?: () => Promise<string> } = {},
  ): Promise<string> {
    server = await startHttpServer({
      listen: "127.0.0.1:0",
      readiness: () => options.readiness ?? { ready: true, reasons: [] },
      metrics: options.metrics ?? (() => Promise.resolve("m 1\n")),
    });
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
    return `${response.status} ${await response.text()}`;
  }

  test("/healthz is ok while the process answers", async () => {
    expect(await ask("/healthz")).toBe("200 ok\n");
  });

  test("/readyz says what it waits for", async () => {
    const readiness = { ready: false, reasons: ["waiting for etcd"] };
    expect(await ask("/readyz", { readiness })).toBe("503 not ready\nwaiting for etcd\n");
  });

  test("/readyz is 200 when ready, with what an operator should know", async () => {
    const readiness = { ready: true, reasons: ["1 row failed"] };
    expect(await ask("/readyz?verbose", { readiness })).toBe("200 ready\n1 row failed\n");
  });

  test("/metrics gives the text, and an error of its making away to nobody", async () => {
    expect(await ask("/metrics")).toBe("200 m 1\n");
    server?.close();
    const metrics = () => Promise.reject(new Error("secret"));
    expect(await ask("/metrics", { metrics })).toBe("500 internal error\n");
  });

  test("names its pages for any other path", async () => {
    expect(await ask("/")).toBe("404 want /healthz, /readyz or /metrics\n");
  });

  test("says that the address is taken", async () => {
    await ask("/healthz");
    const listen = `127.0.0.1:${server?.port}`;
    const second = startHttpServer({
      listen,
      readiness: () => ({ ready: true, reasons: [] }),
      metrics: () => Promise.resolve(""),
    });
    await expect(second).rejects.toMatchObject({
      code: "unavailable",
      message: `Cannot listen on "${listen}"`,
    });
  });
});
