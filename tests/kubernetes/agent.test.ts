// How an agent finds its etcd, against a real kube-apiserver: as the service account that it runs
// as, with exactly the rights it says that it needs; the Kubernetes API killed and back.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../mesh/core/clock.ts";
import { silentLogger } from "../../mesh/core/logger.ts";
import { createKubernetesTransport } from "../../mesh/kubernetes/transport.ts";
import { readTlsFiles } from "../../mesh/kvstore/tls.ts";
import { initialisePki } from "../../pki/files.ts";
import { createEtcdAccess, type EtcdAccess } from "../../agent/kubernetes/etcd-access.ts";
import { eventually } from "../fakes/eventually.ts";
import { startTestKubernetes, type TestKubernetes } from "../fakes/kubernetes.ts";

const LIMIT_MS = 240_000;
const NAMESPACE = "agent-home";
const CORE = `/api/v1/namespaces/${NAMESPACE}`;
const RBAC = `/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}`;
const SLICES = `/apis/discovery.k8s.io/v1beta1/namespaces/${NAMESPACE}/endpointslices`;
const ACCOUNT = "tombolo-agent";

describe("an agent's way to etcd", () => {
  let kubernetes: TestKubernetes;
  let directory: string;
  const ends: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "tombolo-agent-kube-"));
    kubernetes = await startTestKubernetes();
    await post("/api/v1/namespaces", { metadata: { name: NAMESPACE } });
    await post(`${CORE}/serviceaccounts`, { metadata: { name: ACCOUNT } });
    await post(`${RBAC}/roles`, {
      metadata: { name: ACCOUNT },
      rules: [
        {
          apiGroups: [""],
          resources: ["secrets"],
          resourceNames: ["tombolo-agent"],
          verbs: ["list", "watch"],
        },
        {
          apiGroups: ["discovery.k8s.io"],
          resources: ["endpointslices"],
          verbs: ["list", "watch"],
        },
      ],
    });
    await post(`${RBAC}/rolebindings`, {
      metadata: { name: ACCOUNT },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: ACCOUNT },
      subjects: [{ kind: "ServiceAccount", name: ACCOUNT, namespace: NAMESPACE }],
    });
  }, LIMIT_MS);
  afterAll(async () => {
    for (const end of ends) await end();
    await kubernetes?.close();
    await rm(directory, { recursive: true });
  }, LIMIT_MS);

  const post = (path: string, body: object): Promise<unknown> =>
    kubernetes.call({ method: "POST", path, body });
  const certificates = async (name: string): Promise<Record<string, string>> => {
    const paths = await initialisePki(join(directory, name), {
      cluster: "east",
      nowMs: systemClock.nowMs(),
    });
    const encoded = async (path: string): Promise<string> =>
      (await readFile(path)).toString("base64");
    return {
      "ca-bundle.crt": await encoded(paths.caBundle),
      "local.crt": await encoded(paths.localCertificate),
      "local.key": await encoded(paths.localKey),
    };
  };
  const slice = (address: string): object => ({
    metadata: {
      name: "tombolo-apiserver-1",
      labels: { "kubernetes.io/service-name": "tombolo-apiserver" },
    },
    addressType: "IPv4",
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: [],
  });
  /** A token of the service account, as the kubelet would give it to a pod. */
  const token = async (): Promise<string> => {
    const path = `${CORE}/serviceaccounts/${ACCOUNT}/token`;
    const { status } = await kubernetes.call<{ status: { token: string } }>({
      method: "POST",
      path,
      body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} },
    });
    return status.token;
  };
  const start = (kubeconfig: string): { access: EtcdAccess; stop: () => Promise<void> } => {
    const access = createEtcdAccess({
      transport: createKubernetesTransport({ kubeconfig }, { clock: systemClock }),
      namespace: NAMESPACE,
      directory: join(directory, "etcd"),
      clock: systemClock,
      random: Math.random,
      log: silentLogger,
    });
    const end = new AbortController();
    const done = access.run(end.signal);
    const stop = async (): Promise<void> => {
      end.abort();
      await done;
    };
    ends.push(stop);
    return { access, stop };
  };

  test(
    "is found, followed and remembered, with two rights in one namespace",
    async () => {
      const { path: kubeconfig } = await kubernetes.writeKubeconfig({ token: await token() });
      const { access, stop } = start(kubeconfig);
      await eventually(() => access.missing().length === 2);
      await post(`${CORE}/secrets`, { metadata: { name: "other" } });
      await post(SLICES, slice("10.0.0.1"));
      await post(`${CORE}/secrets`, {
        metadata: { name: "tombolo-agent" },
        data: await certificates("first"),
      });
      await access.known(AbortSignal.timeout(60_000));
      expect(access.endpoints()).toEqual(["https://10.0.0.1:32379"]);
      const before = (await readTlsFiles(access.tls)).fingerprint;

      await kubernetes.call({
        method: "PATCH",
        path: `${SLICES}/tombolo-apiserver-1`,
        body: { endpoints: [{ addresses: ["10.0.0.2"], conditions: { ready: true } }] },
      });
      await kubernetes.call({
        method: "PATCH",
        path: `${CORE}/secrets/tombolo-agent`,
        body: { data: await certificates("second") },
      });
      await eventually(() => access.endpoints()[0] === "https://10.0.0.2:32379");
      await eventually(async () => (await readTlsFiles(access.tls)).fingerprint !== before);

      await kubernetes.kill();
      expect(access.endpoints()).toEqual(["https://10.0.0.2:32379"]);
      await stop();
      const restarted = start(kubeconfig);
      await restarted.access.known(AbortSignal.timeout(60_000));
      expect(restarted.access.endpoints()).toEqual(["https://10.0.0.2:32379"]);

      await kubernetes.restart();
      await kubernetes.call({
        method: "PATCH",
        path: `${SLICES}/tombolo-apiserver-1`,
        body: { endpoints: [{ addresses: ["10.0.0.3"], conditions: { ready: true } }] },
      });
      const { access: again } = restarted;
      await eventually(() => again.endpoints()[0] === "https://10.0.0.3:32379", {
        limitMs: 90_000,
      });
    },
    LIMIT_MS,
  );
});
