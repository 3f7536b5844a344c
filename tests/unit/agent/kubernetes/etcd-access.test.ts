import { afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../../mesh/core/clock.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import type { KubernetesTransport } from "../../../../mesh/kubernetes/transport.ts";
import { readTlsFiles } from "../../../../mesh/kvstore/tls.ts";
import { initialisePki } from "../../../../pki/files.ts";
import { createEtcdAccess } from "../../../../agent/kubernetes/etcd-access.ts";
import { eventually } from "../../../fakes/eventually.ts";
import { createFakeTransport, type FakeWatch } from "../../../fakes/kubernetes-transport.ts";

const never = new AbortController().signal;

describe("createEtcdAccess()", () => {
  let directory: string;
  let data: Record<string, string>;
  let pki: string;
  beforeAll(async () => {
    pki = await mkdtemp(join(tmpdir(), "tombolo-access-pki-"));
    await initialisePki(pki, { cluster: "east", nowMs: systemClock.nowMs() });
    const encoded = async (name: string): Promise<string> =>
      (await readFile(join(pki, name))).toString("base64");
    data = {
      "ca-bundle.crt": await encoded("ca-bundle.crt"),
      "local.crt": await encoded("local.crt"),
      "local.key": await encoded("local.key"),
    };
    await rm(pki, { recursive: true });
  });
  beforeEach(async () => {
    directory = join(await mkdtemp(join(tmpdir(), "tombolo-access-")), "etcd");
  });
  afterEach(() => rm(join(directory, ".."), { recursive: true }));

  /** Answers by path, so that it does not matter which loop asks first. */
  function api(objects: { slices: object[]; secrets: object[] }) {
    const asked: string[] = [];
    const watches: { slices?: FakeWatch; secrets?: FakeWatch } = {};
    const transport: KubernetesTransport = {
      server: "https://fake",
      send(request, signal) {
        asked.push(request.path);
        const fake = createFakeTransport();
        if (request.path === "/apis/discovery.k8s.io") {
          fake.answer(200, { versions: [{ version: "v1" }, { version: "v1beta1" }] });
        } else {
          const kind = request.path.includes("secrets") ? "secrets" : "slices";
          if (request.path.includes("watch=1")) watches[kind] = fake.answerWatch();
          else fake.answer(200, { metadata: { resourceVersion: "5" }, items: objects[kind] });
        }
        return fake.send(request, signal);
      },
    };
    return { transport, asked, watches };
  }

  const SLICE = {
    metadata: { name: "a", namespace: "tombolo-system" },
    addressType: "IPv4",
    endpoints: [{ addresses: ["10.0.0.1"] }],
  };
  const secret = (changes: object = {}) => ({
    metadata: { name: "tombolo-agent", namespace: "tombolo-system", resourceVersion: "6" },
    data: { ...data, ...changes },
  });

  function start(transport: KubernetesTransport) {
    const access = createEtcdAccess({
      transport,
      namespace: "tombolo-system",
      directory,
      clock: systemClock,
      random: () => 0.5,
      log: silentLogger,
    });
    const end = new AbortController();
    const done = access.run(end.signal);
    const stop = async (): Promise<void> => {
      end.abort();
      await done;
    };
    return { access, stop };
  }

  test("asks for one Secret and one Service's slices, and keeps what it is told in private files", async () => {
    const { transport, asked } = api({ slices: [SLICE], secrets: [secret()] });
    const { access, stop } = start(transport);
    expect(access.missing()).toHaveLength(2);
    await access.known(never);
    expect(access.endpoints()).toEqual(["https://10.0.0.1:32379"]);
    expect(access.missing()).toEqual([]);
    await readTlsFiles(access.tls);
    expect((await stat(access.tls.keyFile)).mode & 0o777).toBe(0o600);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect(asked.map((path) => path.split("&")[0])).toEqual(
      expect.arrayContaining([
        "/api/v1/namespaces/tombolo-system/secrets?fieldSelector=metadata.name%3Dtombolo-agent",
        "/apis/discovery.k8s.io",
        "/apis/discovery.k8s.io/v1/namespaces/tombolo-system/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dtombolo-apiserver",
      ]),
    );
    await stop();
  });

  test("follows an apiserver that moves, and stays where it was while it is nowhere", async () => {
    const { transport, watches } = api({ slices: [SLICE], secrets: [secret()] });
    const { access, stop } = start(transport);
    await access.known(never);
    const watch = await eventually(() => watches.slices);
    const metadata = { ...SLICE.metadata, resourceVersion: "7" };
    watch.send({ type: "MODIFIED", object: { ...SLICE, metadata, endpoints: [] } });
    watch.send({
      type: "MODIFIED",
      object: {
        ...SLICE,
        metadata: { ...metadata, resourceVersion: "8" },
        endpoints: [{ addresses: ["10.0.0.2"] }],
      },
    });
    await eventually(() => access.endpoints()[0] === "https://10.0.0.2:32379");
    watch.send({
      type: "DELETED",
      object: { ...SLICE, metadata: { ...metadata, resourceVersion: "9" } },
    });
    const file = join(directory, "endpoints.json");
    await eventually(async () => (await readFile(file, "utf8")).includes("10.0.0.2"));
    expect(access.endpoints()).toEqual(["https://10.0.0.2:32379"]);
    await stop();
  });

  test("works from what it remembers while the Kubernetes API is away", async () => {
    const first = start(api({ slices: [SLICE], secrets: [secret()] }).transport);
    await first.access.known(never);
    await eventually(() => readFile(join(directory, "endpoints.json")));
    await first.stop();
    const away: KubernetesTransport = {
      server: "",
      send: () => Promise.reject(new Error("no route")),
    };
    const second = start(away);
    await second.access.known(never);
    expect(second.access.endpoints()).toEqual(["https://10.0.0.1:32379"]);
    await second.stop();
  });

  test("keeps the last certificates when the Secret cannot be used, and takes the next", async () => {
    const { transport, watches } = api({ slices: [SLICE], secrets: [secret()] });
    const { access, stop } = start(transport);
    await access.known(never);
    const before = (await readTlsFiles(access.tls)).fingerprint;
    const watch = await eventually(() => watches.secrets);
    const broken = secret({ "local.key": "bm9uc2Vuc2U=" });
    watch.send({ type: "MODIFIED", object: broken });
    const bundle = Buffer.from(String(data["ca-bundle.crt"]), "base64").toString();
    const next = secret({ "ca-bundle.crt": Buffer.from(`${bundle}\n`).toString("base64") });
    watch.send({
      type: "MODIFIED",
      object: { ...next, metadata: { ...next.metadata, resourceVersion: "9" } },
    });
    await eventually(async () => (await readTlsFiles(access.tls)).fingerprint !== before);
    await stop();
  });

  test("says what it waits for and why", async () => {
    const away: KubernetesTransport = {
      server: "",
      send: () => Promise.reject(new Error("no route")),
    };
    const { access, stop } = start(away);
    await eventually(() => access.missing().join().includes("no route"));
    expect(access.missing()).toEqual([
      'The endpoints of Service "tombolo-system/tombolo-apiserver" are not known: no route',
      'The Secret "tombolo-system/tombolo-agent" is not known: no route',
    ]);
    await stop();
  });
});
