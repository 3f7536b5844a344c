// A whole apiserver process whose cluster directory is kept equal to objects of a real Kubernetes
// API: its authority, its peers and its readers come and go with their objects, and neither end's
// restart, nor a directory that is empty again, loses any.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { execFile } from "node:child_process";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { openClusterAccess } from "../../mesh/connect/context-access.ts";
import { createInvite } from "../../mesh/connect/invite.ts";
import { joinCluster } from "../../mesh/connect/join.ts";
import { createKubernetesInviteStore } from "../../mesh/connect/kubernetes-invites.ts";
import { secretFromPeer } from "../../mesh/connect/kubernetes-objects.ts";
import { clusterPaths, readClusterProfile } from "../../mesh/contexts/cluster-directory.ts";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { createKubernetesTransport } from "../../mesh/kubernetes/transport.ts";
import { createEtcdStore } from "../../mesh/kvstore/etcd-store.ts";
import { meshServerName } from "../../pki/common-names.ts";
import { pkiPaths, readAuthority, readBundle } from "../../pki/files.ts";
import { issueRemote } from "../../pki/issue.ts";
import { generatePrivateKey, LEAF_KEY_BITS } from "../../pki/private-key.ts";
import { createSigningRequest } from "../../pki/signing-request.ts";
import { createTestApiserver, type TestApiserver } from "../fakes/apiserver.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";

const run = promisify(execFile);
const never = new AbortController().signal;
const LIMIT_MS = 300_000;
const WAIT = { limitMs: 90_000 };
const NAMESPACE = "mesh";
const CORE = `/api/v1/namespaces/${NAMESPACE}`;

let kubernetes: TestKubernetes;
let kubeconfig: string;
let east: TestApiserver;
let west: TestApiserver;

beforeAll(async () => {
  kubernetes = await startTestKubernetes();
  ({ path: kubeconfig } = await kubernetes.writeKubeconfig());
  await kubernetes.call({
    method: "POST",
    path: "/api/v1/namespaces",
    body: { metadata: { name: NAMESPACE } },
  });
  west = await createTestApiserver({ name: "west", id: 2 });
  west.start();
  east = await createTestApiserver({
    name: "east",
    id: 1,
    objects: { kubeconfig, context: "test", namespace: NAMESPACE },
  });
}, LIMIT_MS);

afterAll(async () => {
  await east?.close();
  await west?.close();
  await kubernetes?.close();
}, LIMIT_MS);

interface SecretObject {
  readonly data: Readonly<Record<string, string>>;
}

/** As an operator would; the test's API server shows a certificate that nobody has signed. */
async function kubectl(...parameters: string[]): Promise<string> {
  const flags = [
    `--server=https://127.0.0.1:${kubernetes.port}`,
    "--insecure-skip-tls-verify",
    "--token=test-admin",
    `--namespace=${NAMESPACE}`,
    `--cache-dir=${join(east.directory, "kubectl")}`,
  ];
  const environment = { env: { PATH: process.env["PATH"], KUBECONFIG: "/dev/null" } };
  return (await run("kubectl", [...flags, ...parameters], environment)).stdout;
}

async function apply(object: object): Promise<void> {
  const file = join(east.directory, "applied.json");
  await writeFile(file, JSON.stringify(object));
  await kubectl("apply", "--filename", file);
}

async function applyProfile(): Promise<void> {
  const { etcdEndpoint, joinEndpoint } = east;
  const profile = { name: "east", id: 1, etcdEndpoints: [etcdEndpoint], joinEndpoint };
  await apply({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "tombolo-cluster" },
    data: { "cluster.json": JSON.stringify(profile) },
  });
}

const secret = (name: string): Promise<SecretObject> =>
  kubernetes.call<SecretObject>({ path: `${CORE}/secrets/${name}` });

const textOf = ({ data }: SecretObject, key: string): string =>
  Buffer.from(data[key] ?? "", "base64").toString();

/** East's credentials for west, as an object. */
async function westSecret(): Promise<ReturnType<typeof secretFromPeer>> {
  const { pki } = clusterPaths(west.directory);
  const privateKey = await generatePrivateKey(LEAF_KEY_BITS);
  const certificate = issueRemote(await readAuthority(pki), {
    reader: "east",
    request: createSigningRequest("east", privateKey),
    nowMs: Date.now(),
  });
  const peer = {
    name: "west",
    endpoints: [west.etcdEndpoint],
    bundle: await readBundle(pkiPaths(pki).caBundle),
    client: { certificate, privateKey },
  };
  return secretFromPeer(peer, NAMESPACE);
}

async function peerState(name: string): Promise<string | undefined> {
  const { peers } = await east.status();
  return peers.find((peer) => peer.name === name)?.state;
}

const problems = async (): Promise<string[]> =>
  ((await east.status()).source?.problems ?? []).map(
    ({ object, message }) => `${object}: ${message}`,
  );

/** What a new pod finds: nothing. */
async function emptyDirectory(): Promise<void> {
  await east.kill("SIGKILL");
  const pid = await east.etcdPid();
  process.kill(pid, "SIGKILL");
  const paths = clusterPaths(east.directory);
  const all = [paths.profile, paths.pki, paths.peers, paths.remoteUsers, paths.etcdData, paths.run];
  for (const path of all) await rm(path, { recursive: true, force: true });
}

describe("apiserver with objects", () => {
  test(
    "waits for its profile, then makes the authority and gives agents a certificate that works",
    async () => {
      east.start();
      await eventually(async () => (await east.log()).includes("Waiting for Kubernetes"));
      await applyProfile();
      await east.ready();
      const agent = await eventually(() => secret("tombolo-agent"), WAIT);
      const authority = await secret("tombolo-ca");
      const { pki } = clusterPaths(east.directory);
      expect(textOf(authority, "ca.crt")).toBe((await readAuthority(pki)).certificate.pem);

      const file = (name: string): string => join(east.directory, `agent-${name}`);
      for (const key of ["ca-bundle.crt", "local.crt", "local.key"]) {
        await writeFile(file(key), textOf(agent, key));
      }
      const store = createEtcdStore({
        endpoints: [east.etcdEndpoint],
        tls: {
          caFile: file("ca-bundle.crt"),
          certFile: file("local.crt"),
          keyFile: file("local.key"),
        },
        serverName: meshServerName("east"),
        clock: systemClock,
        random: Math.random,
        log: silentLogger,
      });
      try {
        const keys: string[] = [];
        for await (const page of store.list("cilium/cluster-config/", never)) {
          keys.push(...page.map(({ key }) => key));
        }
        expect(keys).toContain("cilium/cluster-config/east");
      } finally {
        store.close();
      }
    },
    LIMIT_MS,
  );

  test(
    "mirrors a peer whose Secret is applied, and lets in the readers of the ConfigMap",
    async () => {
      await west.ready();
      await apply(await westSecret());
      await writeFile(
        clusterPaths(west.directory).remoteUsers,
        "users: [{name: remote-east, role: remote}]",
      );
      await eventually(async () => (await peerState("west")) === "ready", WAIT);
      await apply({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "tombolo-readers" },
        data: { "remote-users.yaml": "users:\n  - {name: remote-west, role: remote}\n" },
      });
      const { remoteUsers } = clusterPaths(east.directory);
      await eventually(async () => (await readFile(remoteUsers, "utf8")).includes("remote-west"));
    },
    LIMIT_MS,
  );

  test(
    "keeps the last good state of a Secret that breaks, names it, and tells its owner",
    async () => {
      const good = await secret("tombolo-peer-west");
      const data = { "tls.key": Buffer.from("no key").toString("base64") };
      await kubectl("patch", "secret", "tombolo-peer-west", "-p", JSON.stringify({ data }));
      const found = await eventually(async () => {
        const lines = await problems();
        return lines.length > 0 && lines;
      }, WAIT);
      expect(found.join()).toContain(
        'Secret mesh/tombolo-peer-west: Cannot parse private key "tls.key"',
      );
      expect(await peerState("west")).toBe("ready");
      await eventually(async () => {
        const told = await kubectl("get", "events", "-o", "jsonpath={.items[*].message}");
        return told.includes("tls.key");
      }, WAIT);
      await kubectl(
        "patch",
        "secret",
        "tombolo-peer-west",
        "-p",
        JSON.stringify({ data: good.data }),
      );
      await eventually(async () => (await problems()).length === 0, WAIT);
    },
    LIMIT_MS,
  );

  test(
    "puts back what somebody does to the agents' Secret and to the authority's",
    async () => {
      const before = await secret("tombolo-ca");
      const agent = await secret("tombolo-agent");
      await kubectl("delete", "secret", "tombolo-ca", "tombolo-agent");
      const after = await eventually(() => secret("tombolo-ca"), WAIT);
      expect(after.data).toEqual(before.data);
      expect((await eventually(() => secret("tombolo-agent"), WAIT)).data).toEqual(agent.data);
      await kubectl("patch", "secret", "tombolo-agent", "-p", '{"data":{"local.crt":"AAAA"}}');
      await eventually(async () => {
        const { data } = await secret("tombolo-agent");
        return data["local.crt"] === agent.data["local.crt"];
      }, WAIT);
    },
    LIMIT_MS,
  );

  test(
    "comes back in an empty directory with the same authority and peers",
    async () => {
      const authority = await secret("tombolo-ca");
      const agent = await secret("tombolo-agent");
      await emptyDirectory();
      east.start();
      await east.ready();
      await eventually(async () => (await peerState("west")) === "ready", WAIT);
      const { pki } = clusterPaths(east.directory);
      expect((await readAuthority(pki)).certificate.pem).toBe(textOf(authority, "ca.crt"));
      expect((await secret("tombolo-ca")).data).toEqual(authority.data);
      expect((await secret("tombolo-agent")).data).toEqual(agent.data);
    },
    LIMIT_MS,
  );

  test(
    "loses nothing while the API server is away, over a restart of its own too",
    async () => {
      await kubernetes.kill();
      await east.kill("SIGKILL");
      east.start();
      await east.ready();
      await eventually(async () => (await peerState("west")) === "ready", WAIT);
      expect((await problems()).join()).toContain("Cannot follow Secrets");
      await kubernetes.restart();
      await eventually(async () => (await problems()).length === 0, WAIT);
      expect(await peerState("west")).toBe("ready");
    },
    LIMIT_MS,
  );

  test(
    "refuses another name for the running cluster and takes other endpoints",
    async () => {
      const profile = { name: "north", id: 1, etcdEndpoints: ["https://192.0.2.1:32379"] };
      const patch = (value: object): Promise<string> =>
        kubectl("patch", "configmap", "tombolo-cluster", "-p", JSON.stringify({ data: value }));
      await patch({
        "cluster.json": JSON.stringify({ ...profile, joinEndpoint: "192.0.2.1:32381" }),
      });
      await eventually(
        async () => (await problems()).join().includes("Cannot change name of the running cluster"),
        WAIT,
      );
      // Without endpoints, they are those of the nodes.
      const node = { metadata: { name: "n1" } };
      await kubernetes.call({ method: "POST", path: "/api/v1/nodes", body: node });
      const addresses = [
        { type: "Hostname", address: "n1" },
        { type: "InternalIP", address: "192.0.2.7" },
        { type: "InternalIP", address: "fd00::7" },
      ];
      await kubernetes.call({
        method: "PATCH",
        path: "/api/v1/nodes/n1/status",
        body: { status: { addresses } },
      });
      await patch({ "cluster.json": JSON.stringify({ name: "east", id: 1 }) });
      const written = await eventually(async () => {
        const text = await readFile(clusterPaths(east.directory).profile, "utf8");
        return text.includes("fd00::7") && (JSON.parse(text) as object);
      }, WAIT);
      expect(written).toMatchObject({
        etcdEndpoints: ["https://192.0.2.7:32379", "https://[fd00::7]:32379"],
        joinEndpoint: "192.0.2.7:32381",
      });
    },
    LIMIT_MS,
  );

  test(
    "takes a peer away whose Secret is deleted, also while it is down",
    async () => {
      await east.kill("SIGKILL");
      await kubectl("delete", "secret", "tombolo-peer-west");
      east.start();
      await east.ready();
      await eventually(async () => (await peerState("west")) === undefined, WAIT);
      await apply(await westSecret());
      await eventually(async () => (await peerState("west")) === "ready", WAIT);
      await kubectl("delete", "secret", "tombolo-peer-west");
      await eventually(async () => (await peerState("west")) === undefined, WAIT);
    },
    LIMIT_MS,
  );

  test(
    "lets a cluster join by an invitation in a Secret, and keeps what it admits in objects",
    async () => {
      await applyProfile();
      const { profile: path, pki } = clusterPaths(east.directory);
      await eventually(async () => (await readFile(path, "utf8")).includes(east.etcdEndpoint));
      const clock = systemClock;
      const transport = createKubernetesTransport({ kubeconfig }, { clock });
      const invites = createKubernetesInviteStore({ transport, namespace: NAMESPACE, clock });
      const { certificate } = await readAuthority(pki);
      const token = await createInvite({
        inviter: {
          cluster: await readClusterProfile(east.directory),
          joinEndpoints: [east.joinEndpoint],
          authority: certificate,
        },
        invites,
        ttlMs: 900_000,
        nowMs: clock.nowMs(),
      });
      const environment = { clock, random: Math.random, log: silentLogger };
      const access = openClusterAccess({ context: "west", directory: west.directory }, environment);
      await joinCluster(token, { access, clock, onProgress: () => {}, signal: never });

      expect(await peerState("west")).toBe("ready");
      expect(textOf(await secret("tombolo-peer-west"), "endpoints")).toContain(west.etcdEndpoint);
      expect(await kubectl("get", "configmap", "tombolo-readers", "-o", "yaml")).toContain(
        "remote-west",
      );
      expect(await invites.list()).toMatchObject([{ use: { kind: "used", joiner: "west" } }]);
    },
    LIMIT_MS,
  );
});
