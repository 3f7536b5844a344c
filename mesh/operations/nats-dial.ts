// One attempt to connect to NATS: with certificates to where it is, or through a tunnel at whose
// other end somebody has them.
import { connect, type NatsConnection as Client, type TlsOptions } from "nats";
import type { Clock } from "../core/clock.ts";
import { MeshError } from "../core/errors.ts";
import { dialWhole } from "./dialled-sockets.ts";
import { translateNatsError } from "./nats-errors.ts";
import { openNatsTunnel, type OpenBridge } from "./nats-tunnel.ts";

/** A server that is connected to where it listens. */
export interface DirectWay {
  /** `ADDRESS:PORT`; asked before every attempt. */
  readonly servers: () => readonly string[];
  /** Read before every attempt. Undefined only for tests on loopback. */
  readonly tls: { caFile: string; certFile: string; keyFile: string } | undefined;
  /** Under which name the server is verified. */
  readonly serverName: string | undefined;
}

/** A server that only somebody else reaches, for example a program in a pod. */
export interface TunnelledWay {
  readonly openBridge: OpenBridge;
  /** How messages name it: `the NATS of context "west"`. */
  readonly place: string;
}

export type NatsWay = DirectWay | TunnelledWay;

/** A server in the same cluster answers within milliseconds. */
const CONNECT_TIMEOUT_MS = 5_000;
/** A connection that is silent for two of these is lost. */
const PING_INTERVAL_MS = 10_000;

/** Throws why there is no connection, in one sentence. */
export function dialNats(
  way: NatsWay,
  { name, clock }: { readonly name: string; readonly clock: Clock },
  signal: AbortSignal,
): Promise<Client> {
  return "openBridge" in way
    ? dialThrough(way, { name, clock }, signal)
    : dialDirectly(way, name, signal);
}

async function dialDirectly(
  { servers, tls, serverName }: DirectWay,
  name: string,
  signal: AbortSignal,
): Promise<Client> {
  const places = servers();
  if (places.length === 0) {
    throw new MeshError("unavailable", "Cannot connect to NATS: it is not known where it is");
  }
  // The type does not know the name, the library passes it on to node:tls.
  const encrypted: TlsOptions & { servername?: string | undefined } = {
    ...tls,
    servername: serverName,
  };
  const secured = tls === undefined ? { tls: null } : { tls: encrypted };
  const what = `connect to NATS at ${places.join(", ")}`;
  return dial({ name, servers: places, what, more: secured }, signal);
}

async function dialThrough(
  { openBridge, place }: TunnelledWay,
  { name, clock }: { readonly name: string; readonly clock: Clock },
  signal: AbortSignal,
): Promise<Client> {
  const what = `connect to ${place}`;
  const tunnel = await openNatsTunnel(openBridge, { what, clock, signal });
  const { server, token } = tunnel;
  try {
    const client = await dial(
      { name, servers: [server], what, more: { token, tls: null } },
      signal,
    );
    void client.closed().finally(() => tunnel.close());
    return client;
  } catch (error) {
    tunnel.close();
    throw error;
  }
}

async function dial(
  wish: {
    readonly name: string;
    readonly servers: readonly string[];
    readonly what: string;
    readonly more: { readonly tls: TlsOptions | null; readonly token?: string };
  },
  signal: AbortSignal,
): Promise<Client> {
  const { name, servers, what, more } = wish;
  const wanted = {
    name,
    servers: [...servers],
    reconnect: false,
    ignoreClusterUpdates: true,
    timeout: CONNECT_TIMEOUT_MS,
    pingInterval: PING_INTERVAL_MS,
    ...more,
  };
  try {
    const dialling = { dial: () => connect(wanted), close: (late: Client) => late.close() };
    return await dialWhole(dialling, signal);
  } catch (error) {
    throw translateNatsError(error, what);
  }
}
