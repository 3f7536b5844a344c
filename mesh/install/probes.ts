// How the kubelet asks our programs whether they live and are ready: the same for both. Pure.
import { HEALTH } from "./configuration.ts";

const STARTUP_PERIOD_SECONDS = 2;

/** The three probes of a container that serves /healthz and /readyz at the node's loopback. */
export function healthProbes(
  port: number,
  { startupSeconds }: { readonly startupSeconds: number },
): object {
  const get = (path: string): object => ({
    httpGet: { host: HEALTH.address, port, path, scheme: "HTTP" },
  });
  return {
    startupProbe: {
      ...get("/healthz"),
      periodSeconds: STARTUP_PERIOD_SECONDS,
      failureThreshold: Math.ceil(startupSeconds / STARTUP_PERIOD_SECONDS),
    },
    livenessProbe: {
      ...get("/healthz"),
      periodSeconds: 10,
      timeoutSeconds: 5,
      failureThreshold: 6,
    },
    readinessProbe: { ...get("/readyz"), periodSeconds: 3, timeoutSeconds: 3, failureThreshold: 3 },
  };
}
