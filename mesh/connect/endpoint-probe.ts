// Asking one etcd endpoint who it is: TCP, TLS, its certificate, and over that connection
// `GET /version`, whose `Date` header tells the clock on the other side. It reads no data.
import { request } from "node:http";
import { connect, type TLSSocket } from "node:tls";
import { throwIfAborted, withTimeout, type Clock } from "../core/clock.ts";
import { isMeshError, messageFromError } from "../core/errors.ts";
import type { TrustBundle } from "../../pki/bundle.ts";
import { parseCertificate } from "../../pki/certificate.ts";
import type { KeyedCertificate } from "../../pki/issue.ts";
import { verifyCertificate } from "../../pki/verify.ts";
import type { EndpointFacts } from "./cluster-facts.ts";

/** A TCP connection, a TLS handshake and one answer; several round trips around the world fit. */
const PROBE_TIMEOUT_MS = 5_000;

export interface ProbeOptions {
  /** `https://ADDRESS:PORT`. */
  readonly endpoint: string;
  /** The name that the certificate must carry. */
  readonly serverName: string;
  readonly bundle: TrustBundle;
  /**
   * etcd answers nobody without a client certificate. Without one, the endpoint is believed by its
   * own, and its clock stays unknown.
   */
  readonly client: KeyedCertificate | undefined;
  readonly clock: Clock;
}

export async function probeEndpoint(
  options: ProbeOptions,
  signal: AbortSignal,
): Promise<EndpointFacts> {
  const { endpoint, clock } = options;
  try {
    const clockOffsetMs = await withTimeout((inner) => readClockOffset(options, inner), {
      ms: PROBE_TIMEOUT_MS,
      what: `Cannot reach ${endpoint}`,
      clock,
      signal,
    });
    return { endpoint, answer: { kind: "reachable", clockOffsetMs } };
  } catch (error) {
    throwIfAborted(signal);
    const kind = isMeshError(error, "unauthenticated") ? "untrusted" : "unreachable";
    return { endpoint, answer: { kind, reason: messageFromError(error) } };
  }
}

async function readClockOffset(
  options: ProbeOptions,
  signal: AbortSignal,
): Promise<number | undefined> {
  const socket = await openVerified(options, signal);
  try {
    if (options.client === undefined) return undefined;
    const askedMs = options.clock.nowMs();
    const date = await readDateHeader(socket, { options, signal });
    if (date === undefined) return undefined;
    // The header has whole seconds, cut off: half a second is added on average.
    return date + 500 - (askedMs + options.clock.nowMs()) / 2;
  } finally {
    socket.destroy();
  }
}

/**
 * Node's own verification is replaced, not skipped: it would only say "unable to verify", and a
 * person needs to know which certificate broke which rule. Nothing is sent before it has passed.
 */
function openVerified(options: ProbeOptions, signal: AbortSignal): Promise<TLSSocket> {
  const { hostname, port } = new URL(options.endpoint);
  const { client, serverName, bundle, clock } = options;
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: hostname.replace(/^\[|\]$/g, ""),
      port: Number(port || 443),
      servername: serverName,
      rejectUnauthorized: false,
      ...(client === undefined
        ? {}
        : { cert: client.certificate.pem, key: client.privateKey.encodePem() }),
    });
    const onAbort = (): void => {
      socket.destroy(new Error("no answer in time"));
    };
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("close", () => signal.removeEventListener("abort", onAbort));
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      try {
        const presented = socket.getPeerX509Certificate()?.toString() ?? "";
        const certificate = parseCertificate(presented, `presented by ${options.endpoint}`);
        verifyCertificate(certificate, {
          bundle,
          nowMs: clock.nowMs(),
          usage: "server",
          serverName,
        });
        resolve(socket);
      } catch (error) {
        socket.destroy();
        reject(error as Error);
      }
    });
  });
}

function readDateHeader(
  socket: TLSSocket,
  { options, signal }: { options: ProbeOptions; signal: AbortSignal },
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    // Plain HTTP as far as this request knows: the socket below it is the verified TLS one.
    const { host } = new URL(options.endpoint);
    const asked = request(
      { createConnection: () => socket, path: "/version", headers: { host }, signal },
      (response) => {
        response.resume();
        const date = Date.parse(response.headers.date ?? "");
        resolve(Number.isNaN(date) ? undefined : date);
      },
    );
    asked.once("error", reject);
    asked.end();
  });
}
