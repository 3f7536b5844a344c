import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { createHealthServer, type HealthServer } from "../../../apiserver/http.ts";

let server: HealthServer;
let reasons: string[] = [];

beforeEach(async () => {
  server = await createHealthServer({
    listen: "127.0.0.1:0",
    readiness: () => ({ ready: reasons.length === 0, reasons }),
    metrics: () => Promise.resolve({ contentType: "text/plain", text: "a 1\n" }),
  });
});

afterEach(() => server.close());

async function get(path: string): Promise<[number, string]> {
  const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
  return [response.status, await response.text()];
}

describe("createHealthServer()", () => {
  test("tells health, readiness with reasons, and metrics", async () => {
    reasons = [];
    expect(await get("/healthz")).toEqual([200, "ok\n"]);
    expect(await get("/readyz?verbose")).toEqual([200, "ok\n"]);
    reasons = ["etcd does not answer yet", "the manifests have not been read"];
    expect(await get("/readyz")).toEqual([503, `${reasons.join("\n")}\n`]);
    expect(await get("/metrics")).toEqual([200, "a 1\n"]);
    expect((await get("/"))[0]).toBe(404);
  });

  test("says which address it cannot listen on", async () => {
    const listen = `127.0.0.1:${server.port}`;
    await expect(
      createHealthServer({
        listen,
        readiness: () => ({ ready: true, reasons: [] }),
        metrics: () => Promise.resolve({ contentType: "", text: "" }),
      }),
    ).rejects.toMatchObject({ code: "unavailable", message: `Cannot listen on "${listen}"` });
  });
});
