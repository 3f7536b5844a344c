// nats-server's configuration as text: who may connect, in which account, and what passes from one
// account to another. Pure. Who may say what in the mesh is decided here and nowhere else.
//
//   agents, apiserver, operators ──TLS──► MESH (streams) ◄─ events, drills of A ── PEER_A ◄─leaf─ A
//                                              └── events, drills, questions of ours ──► PEER_A
//
// Between accounts only what is exported by one and imported by the other passes, and a peer's
// account imports what is ours alone: nothing comes to a peer through us from another one.
import { localCommonName, adminCommonName, remoteCommonName } from "../../pki/common-names.ts";

export interface NatsFiles {
  readonly caBundle: string;
  readonly certificate: string;
  readonly key: string;
}

export interface NatsPeer {
  readonly name: string;
  /** The link that we dial; undefined where the peer dials us. */
  readonly dial: { readonly endpoints: readonly string[]; readonly tls: NatsFiles } | undefined;
}

export interface NatsConfig {
  readonly cluster: string;
  /** `ADDRESS:PORT` for clients, for leaf nodes, and for monitoring (loopback). */
  readonly listen: string;
  readonly leafListen: string;
  readonly monitorListen: string;
  readonly storeDirectory: string;
  readonly pidFile: string;
  readonly logFile: string;
  readonly tls: NatsFiles;
  readonly peers: readonly NatsPeer[];
  /** Whether peers may ask our agents and our apiserver. */
  readonly acceptQuestions: boolean;
}

/** Two streams of 64 MB, and what a compaction needs besides. */
const STORE_MAX_MB = 192;
const LOG_MAX_MB = 8;
/** A drill's report with the timelines of many nodes; see MESSAGE_MAX_BYTES. */
const PAYLOAD_MAX_BYTES = 4 * 1024 * 1024 + 16 * 1024;
/** Every node has one agent; what is left is for operators and peers. */
const CONNECTIONS_MAX = 8_192;
/** A client that does not read is let go before it costs memory: two of the largest messages. */
const PENDING_MAX_MB = 10;
const PEER_RECONNECT_SECONDS = 2;
/** Nobody's name: a label has 63 characters at most, so it is never looked up anywhere. */
const NEVER_A_HOST = `${"peer".padEnd(64, "-x")}.mesh.cilium.io`;

export function renderNatsConfig(config: NatsConfig): string {
  const { cluster, tls, peers } = config;
  const dialled = peers.flatMap(({ name, dial }) => (dial === undefined ? [] : [{ name, dial }]));
  const value = {
    server_name: cluster,
    listen: config.listen,
    http: config.monitorListen,
    pid_file: config.pidFile,
    log_file: config.logFile,
    logfile_size_limit: LOG_MAX_MB * 1024 * 1024,
    max_payload: PAYLOAD_MAX_BYTES,
    max_connections: CONNECTIONS_MAX,
    max_pending: PENDING_MAX_MB * 1024 * 1024,
    lame_duck_duration: "30s",
    lame_duck_grace_period: "1s",
    // A peer that is away is said once, not every two seconds.
    reconnect_error_reports: 10_000,
    tls: serverTls(tls),
    jetstream: {
      store_dir: config.storeDirectory,
      max_memory_store: 0,
      max_file_store: STORE_MAX_MB * 1024 * 1024,
    },
    leafnodes: {
      listen: config.leafListen,
      tls: serverTls(tls),
      reconnect: PEER_RECONNECT_SECONDS,
      // Peers learn from their configuration where we are, and nothing from us.
      no_advertise: true,
      remotes: dialled.map(remoteOf),
    },
    accounts: {
      MESH: meshAccount(config),
      ...Object.fromEntries(peers.map(({ name }) => [accountOf(name), peerAccount(name, config)])),
    },
    // Without it, a client without a user would have an account of its own to fill.
    no_auth_user: undefined,
  };
  return `${JSON.stringify(value, null, 2)}\n`;
}

/**
 * Links that we dial cannot change while nats-server runs, and what accounts import of each other
 * is not taken over whole by a reload (2.9.10: questions of a new peer reach nobody). So only
 * other certificates under the same names are read by the running server.
 */
export function needsRestart(before: string, after: string): boolean {
  return before !== after;
}

/** Where a rendered configuration dials each peer: remembered over a restart of the apiserver. */
export function dialledEndpoints(text: string): ReadonlyMap<string, readonly string[]> {
  const { leafnodes } = JSON.parse(text) as {
    leafnodes: { remotes: readonly { urls: readonly string[]; account: string }[] };
  };
  return new Map(
    leafnodes.remotes.map(({ urls, account }) => [
      account.slice(accountOf("").length),
      urls.slice(0, -1).map((url) => url.slice("tls://".length)),
    ]),
  );
}

export function accountOf(peer: string): string {
  return `PEER_${peer}`;
}

function serverTls(files: NatsFiles): object {
  return {
    cert_file: files.certificate,
    key_file: files.key,
    ca_file: files.caBundle,
    verify_and_map: true,
    timeout: 5,
  };
}

/**
 * The peer is known by its address alone, and its certificate has a name. The server takes the name
 * of another URL of the same list for that; the last one serves this purpose and no other.
 */
function remoteOf({ name, dial }: { name: string; dial: NonNullable<NatsPeer["dial"]> }): object {
  const { endpoints, tls } = dial;
  return {
    urls: [...endpoints, `${NEVER_A_HOST}:1`].map((place) => `tls://${place}`),
    no_randomize: true,
    account: accountOf(name),
    tls: {
      cert_file: tls.certificate,
      key_file: tls.key,
      ca_file: tls.caBundle,
      timeout: 5,
    },
  };
}

/** What a cluster says of itself, and nobody else may say in its name. */
function sayingsOf(cluster: string): string[] {
  return [`tombolo.events.${cluster}.*`, `tombolo.drills.${cluster}.*`];
}

function questionsTo(cluster: string): string {
  return `tombolo.ask.${cluster}.>`;
}

function meshAccount({ cluster, peers, acceptQuestions }: NatsConfig): object {
  const accounts = peers.map(({ name }) => accountOf(name));
  const ours = sayingsOf(cluster).map((stream) => ({ stream, accounts }));
  const asked = { service: questionsTo(cluster), accounts };
  return {
    jetstream: { max_mem: 0, max_file: STORE_MAX_MB * 1024 * 1024 },
    users: [
      { user: dn(adminCommonName(cluster)), allowed_connection_types: ["STANDARD"] },
      {
        user: dn(localCommonName(cluster)),
        allowed_connection_types: ["STANDARD"],
        permissions: agentPermissions(cluster),
      },
    ],
    exports: peers.length === 0 ? [] : [...ours, ...(acceptQuestions ? [asked] : [])],
    imports: peers.flatMap(({ name }) => {
      const account = accountOf(name);
      return [
        ...sayingsOf(name).map((subject) => ({ stream: { account, subject } })),
        { service: { account, subject: questionsTo(name) } },
      ];
    }),
  };
}

/** An agent tells and is asked; it reads no stream, and asks nobody. */
function agentPermissions(cluster: string): object {
  return {
    publish: { allow: [`tombolo.events.${cluster}.*`] },
    subscribe: { allow: [questionsTo(cluster), "_INBOX.>"] },
    allow_responses: { max: 1, expires: "1m" },
  };
}

/** Where the link to a peer ends: it can say what is its own and hear what is ours. */
function peerAccount(peer: string, { cluster, acceptQuestions }: NatsConfig): object {
  const asked = { service: { account: "MESH", subject: questionsTo(cluster) } };
  return {
    users: [{ user: dn(remoteCommonName(peer)), allowed_connection_types: ["LEAFNODE"] }],
    exports: [
      ...sayingsOf(peer).map((stream) => ({ stream, accounts: ["MESH"] })),
      { service: questionsTo(peer), accounts: ["MESH"] },
    ],
    imports: [
      ...sayingsOf(cluster).map((subject) => ({ stream: { account: "MESH", subject } })),
      ...(acceptQuestions ? [asked] : []),
    ],
  };
}

function dn(commonName: string): string {
  return `CN=${commonName}`;
}
