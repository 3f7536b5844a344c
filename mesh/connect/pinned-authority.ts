// Finding the authority that a token pins: asks the endpoint for its certificate chain and keeps
// the one certificate whose fingerprint the token names. Nothing is sent to an endpoint that has
// not shown it, so a stranger at that address learns no secret.
import { connect, type DetailedPeerCertificate } from "node:tls";
import { withTimeout, type Clock } from "../core/clock.ts";
import { MeshError } from "../core/errors.ts";
import type { TrustBundle } from "../../pki/bundle.ts";
import { parseCertificate, type Certificate } from "../../pki/certificate.ts";
import { verifyCertificate } from "../../pki/verify.ts";

/** A TCP connection and a TLS handshake; several round trips around the world fit. */
const PIN_TIMEOUT_MS = 5_000;
/** Leaf and authority; a longer chain is not ours, an endless one must not occupy us. */
const MAX_CHAIN_LENGTH = 4;

/** Throws `unavailable` or `unauthenticated`. */
export async function fetchPinnedAuthority(
  options: { endpoint: string; serverName: string; caFingerprint: string; clock: Clock },
  signal: AbortSignal,
): Promise<TrustBundle> {
  const { endpoint, clock, caFingerprint, serverName } = options;
  const chain = await withTimeout((inner) => fetchChain({ endpoint, serverName }, inner), {
    ms: PIN_TIMEOUT_MS,
    what: `Cannot reach "${endpoint}"`,
    clock,
    signal,
  });
  const authority = chain.find(({ fingerprint }) => fingerprint === caFingerprint);
  const [leaf] = chain;
  if (authority === undefined || leaf === undefined) {
    throw new MeshError(
      "unauthenticated",
      `Cannot trust "${endpoint}": it does not show the certificate authority that the token names`,
      { hint: "another machine may answer at that address; compare it with the inviting side" },
    );
  }
  const bundle: TrustBundle = { authorities: [authority] };
  verifyCertificate(leaf, { bundle, nowMs: clock.nowMs(), usage: "server", serverName });
  return bundle;
}

function fetchChain(
  { endpoint, serverName }: { endpoint: string; serverName: string },
  signal: AbortSignal,
): Promise<Certificate[]> {
  const colon = endpoint.lastIndexOf(":");
  const host = endpoint.slice(0, colon).replace(/^\[|\]$/g, "");
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port: Number(endpoint.slice(colon + 1)),
      servername: serverName,
      // The chain is judged by its fingerprint, not by the machine's authorities.
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
    });
    const onAbort = (): void => {
      socket.destroy(new Error("no answer in time"));
    };
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("close", () => signal.removeEventListener("abort", onAbort));
    socket.once("error", (cause) =>
      reject(new MeshError("unavailable", `Cannot reach "${endpoint}"`, { cause })),
    );
    socket.once("secureConnect", () => {
      try {
        resolve(certificatesFromChain(socket.getPeerCertificate(true), endpoint));
      } catch (error) {
        reject(error as Error);
      } finally {
        socket.destroy();
      }
    });
  });
}

function certificatesFromChain(first: DetailedPeerCertificate, endpoint: string): Certificate[] {
  const chain: Certificate[] = [];
  let current: DetailedPeerCertificate | undefined = first;
  while (current?.raw !== undefined && chain.length < MAX_CHAIN_LENGTH) {
    const base64 = current.raw.toString("base64");
    const pem = `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
    const certificate = parseCertificate(pem, `shown by ${endpoint}`);
    // A self-signed certificate is its own issuer.
    if (chain.some(({ fingerprint }) => fingerprint === certificate.fingerprint)) break;
    chain.push(certificate);
    current = current.issuerCertificate;
  }
  return chain;
}
