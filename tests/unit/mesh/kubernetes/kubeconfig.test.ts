import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKubeConfig, readKubeconfigText } from "../../../../mesh/kubernetes/kubeconfig.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "tombolo-kubeconfig-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const CLUSTERS = [
  { name: "east", cluster: { server: "https://east:6443/" } },
  { name: "west", cluster: { server: "https://west:6443" } },
];
const CONTEXTS = [
  { name: "east", context: { cluster: "east", user: "admin" } },
  { name: "west", context: { cluster: "west", user: "admin" } },
  { name: "lost", context: { cluster: "north", user: "admin" } },
  { name: "nobody", context: { cluster: "east", user: "nobody" } },
];

async function load(
  config: object,
  context?: string,
): Promise<Awaited<ReturnType<typeof createKubeConfig>>> {
  const path = join(directory, "config");
  await writeFile(path, JSON.stringify(config));
  const access = { kubeconfig: path, context };
  return createKubeConfig(access, await readKubeconfigText(access));
}

const config = (user: object = {}, fields: object = {}): object => ({
  clusters: CLUSTERS,
  contexts: CONTEXTS,
  users: [{ name: "admin", user }],
  "current-context": "west",
  ...fields,
});

describe("createKubeConfig()", () => {
  test("takes the file's current context, or the one that is asked for", async () => {
    expect((await load(config())).getCurrentCluster()?.server).toBe("https://west:6443");
    expect((await load(config(), "east")).getCurrentCluster()?.server).toBe("https://east:6443");
  });

  const refused: [string, { context?: string; file?: object; why: string }][] = [
    [
      "an unknown context",
      {
        context: "south",
        why: 'Cannot use context "south" of kubeconfig "FILE": want one of east, west, lost, nobody',
      },
    ],
    [
      "a context without its cluster",
      {
        context: "lost",
        why: 'context "lost" of kubeconfig "FILE": the file has no cluster "north"',
      },
    ],
    ["a context without its user", { context: "nobody", why: 'the file has no user "nobody"' }],
    [
      "no current context",
      { file: { "current-context": "" }, why: "Cannot use the current context of kubeconfig" },
    ],
    [
      "a cluster without a server",
      {
        file: { clusters: [{ name: "e", cluster: {} }] },
        why: "clusters[0].cluster.server is missing",
      },
    ],
  ];
  test.each(refused)("says what is wrong with %s", async (_, { context, file, why }) => {
    const found = load(config({}, file), context).then(
      () => "",
      (error: Error) => error.message.replace(join(directory, "config"), "FILE"),
    );
    expect(await found).toContain(why);
  });

  test("says what is wrong with a file that is none, or is not there", async () => {
    const access = { kubeconfig: join(directory, "config") };
    await expect(readKubeconfigText(access)).rejects.toMatchObject({ code: "not_found" });
    for (const text of ["", "- a", "{", "a: b: c"]) {
      await expect(createKubeConfig(access, text)).rejects.toMatchObject({
        code: "invalid_argument",
        message: expect.stringContaining(`Cannot use kubeconfig "${access.kubeconfig}": `),
      });
    }
  });

  test("reads tokens from the file that the user names, which goes before one in the file", async () => {
    await writeFile(join(directory, "token"), "from-file\n");
    const kube = await load(config({ tokenFile: "token", token: "inline" }));
    const options: { headers: Record<string, string> } = { headers: {} };
    await kube.applyToHTTPSOptions(options as Parameters<typeof kube.applyToHTTPSOptions>[0]);
    expect(options.headers["Authorization"]).toBe("Bearer from-file\n");
  });

  test("runs a plugin beside the file, and tells it which version it is asked for in", async () => {
    const apiVersion = "client.authentication.k8s.io/v1";
    const script = `#!/bin/sh
printf '{"kind":"ExecCredential","status":{"token":"%s"}}' "$(printf %s "$KUBERNETES_EXEC_INFO" | tr -d '"{}')"
`;
    await writeFile(join(directory, "plugin"), script, { mode: 0o755 });
    const kube = await load(config({ exec: { apiVersion, command: "./plugin" } }));
    const options: { headers: Record<string, string> } = { headers: {} };
    await kube.applyToHTTPSOptions(options as Parameters<typeof kube.applyToHTTPSOptions>[0]);
    expect(options.headers["Authorization"]).toContain(`apiVersion:${apiVersion}`);
  });

  test("says that a process outside of a pod has no service account", async () => {
    await expect(createKubeConfig({ kubeconfig: "in-cluster" }, "")).rejects.toMatchObject({
      code: "not_found",
      message: expect.stringContaining("KUBERNETES_SERVICE_HOST"),
    });
  });
});
