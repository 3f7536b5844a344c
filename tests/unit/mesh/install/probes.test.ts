import { describe, expect, test } from "@jest/globals";
import { healthProbes } from "../../../../mesh/install/probes.ts";

describe("healthProbes()", () => {
  const probes = healthProbes(9_000, { startupSeconds: 121 });

  test("asks at the node's loopback, readiness at its own path", () => {
    const at = (path: string): object => ({
      httpGet: { host: "127.0.0.1", port: 9_000, path, scheme: "HTTP" },
    });
    expect(probes).toMatchObject({
      startupProbe: at("/healthz"),
      livenessProbe: at("/healthz"),
      readinessProbe: at("/readyz"),
    });
  });

  test("gives a start at least the time that it is told", () => {
    expect(probes).toMatchObject({ startupProbe: { periodSeconds: 2, failureThreshold: 61 } });
  });
});
