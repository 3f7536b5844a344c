import { describe, expect, test } from "@jest/globals";
import { parseApiserverConfig } from "../../../../apiserver/config.ts";
import { parseAgentConfig } from "../../../../agent/config.ts";
import { parseClusterSettings } from "../../../../mesh/contexts/cluster-directory.ts";
import { describeManifest, KINDS, type Manifest } from "../../../../mesh/install/manifest.ts";
import { renderInstallation, renderObjects } from "../../../../mesh/install/render.ts";
import { parseSettings, type SettingTexts } from "../../../../mesh/install/settings.ts";

const render = (more: SettingTexts = {}): Manifest[] =>
  renderInstallation(
    parseSettings({ "cluster-name": "east", "cluster-id": "1", ...more }, "0.1.0"),
    { version: "0.1.0", budgetVersion: "policy/v1" },
  );
const find = (manifests: Manifest[], kind: string, name: string): Manifest => {
  const found = manifests.find((item) => item.kind === kind && item.metadata.name === name);
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
  return found;
};

interface Container {
  readonly name: string;
  readonly env: readonly { name: string; value?: string }[];
  readonly securityContext: object;
}
interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
}
const podOf = (manifest: Manifest): { metadata: { annotations: object }; spec: PodSpec } =>
  (manifest["spec"] as { template: { metadata: { annotations: object }; spec: PodSpec } }).template;

describe("renderInstallation()", () => {
  test("makes every object, each of a known kind, in the order of kinds", () => {
    const kinds = KINDS.map(({ kind }) => kind);
    const manifests = render();
    expect(manifests.map(describeManifest)).toContain("DaemonSet tombolo-system/tombolo-agent");
    expect(manifests).toHaveLength(14);
    expect(manifests[0]?.kind).toBe("Namespace");
    for (const { kind } of manifests) expect(kinds).toContain(kind);
  });

  test("is the same text for the same settings", () => {
    expect(JSON.stringify(render())).toBe(JSON.stringify(render()));
  });

  test("writes files that the programs read", () => {
    const endpoint = ["https://east.example:32379"];
    const manifests = render({ endpoint, "join-endpoint": "east.example:32381", mtu: "9000" });
    const data = find(manifests, "ConfigMap", "tombolo-cluster")["data"] as Record<string, string>;
    expect(parseClusterSettings(data["cluster.json"] ?? "", "x")).toEqual({
      name: "east",
      id: 1,
      maxConnectedClusters: 255,
      etcdEndpoints: endpoint,
      joinEndpoint: "east.example:32381",
    });
    expect(parseApiserverConfig(data["apiserver.json"] ?? "", "x")).toMatchObject({
      directory: "/var/run/tombolo/cluster",
    });
    expect(parseAgentConfig(data["agent.json"] ?? "", "x", { nodeName: "node1" })).toMatchObject({
      nodeName: "node1",
      procSysNet: "/host/proc/sys/net",
      overlay: { underlayMtu: 9000 },
    });
  });

  test("lets peers drill here only where somebody has said so", () => {
    const accepts = (texts: SettingTexts): unknown => {
      const data = find(render(texts), "ConfigMap", "tombolo-cluster")["data"];
      const { "apiserver.json": text = "" } = data as Record<string, string>;
      return parseApiserverConfig(text, "x").operations?.acceptDrillsFrom;
    };
    expect(accepts({})).toBe("own");
    expect(accepts({ "accept-drills-from": "own" })).toBe("own");
    expect(accepts({ "accept-drills-from": "peers" })).toBe("peers");
  });

  test("tells the apiserver what selectors mean that name no cluster", () => {
    const scope = (texts: SettingTexts): unknown => {
      const data = find(render(texts), "ConfigMap", "tombolo-cluster")["data"];
      const { "apiserver.json": text = "" } = data as Record<string, string>;
      return parseApiserverConfig(text, "x").policyDefaultScope;
    };
    expect(scope({})).toBe("local");
    expect(scope({ "policy-default-scope": "all" })).toBe("all");
  });

  test("gives pods another configuration digest when their files change", () => {
    const digest = (manifests: Manifest[]): object =>
      podOf(find(manifests, "DaemonSet", "tombolo-agent")).metadata.annotations;
    expect(digest(render({ mtu: "9000" }))).not.toEqual(digest(render()));
    expect(digest(render({ "max-unavailable": "2" }))).toEqual(digest(render()));
  });

  test("drops every capability and gives back only what the datapath needs", () => {
    const manifests = render();
    const agent = podOf(find(manifests, "DaemonSet", "tombolo-agent")).spec;
    const apiserver = podOf(find(manifests, "Deployment", "tombolo-apiserver")).spec;
    const capabilities = [agent.initContainers ?? [], agent.containers, apiserver.containers]
      .flat()
      .map(({ name, securityContext }) => [name, securityContext]);
    const restricted = { allowPrivilegeEscalation: false, readOnlyRootFilesystem: true };
    const none = { ...restricted, capabilities: { drop: ["ALL"] } };
    const add = ["BPF", "NET_ADMIN", "NET_RAW", "PERFMON", "SYS_ADMIN"];
    expect(capabilities).toEqual([
      ["install-plugin", { ...none, runAsUser: 0 }],
      ["agent", { ...restricted, runAsUser: 0, capabilities: { drop: ["ALL"], add } }],
      ["apiserver", none],
      ["nats", none],
    ]);
  });

  test("says where the API server is only when it was told", () => {
    const env = (manifests: Manifest[]): readonly object[] =>
      podOf(find(manifests, "Deployment", "tombolo-apiserver")).spec.containers[0]?.env ?? [];
    expect(JSON.stringify(env(render()))).not.toContain("KUBERNETES_SERVICE_HOST");
    expect(env(render({ "api-server": "[fd00::1]:6443" }))).toEqual(
      expect.arrayContaining([
        { name: "KUBERNETES_SERVICE_HOST", value: "fd00::1" },
        { name: "KUBERNETES_SERVICE_PORT", value: "6443" },
      ]),
    );
  });

  test("exchanges as many agents at once as it was told", () => {
    for (const [text, value] of [
      ["2", 2],
      ["10%", "10%"],
    ] as const) {
      const set = find(render({ "max-unavailable": text }), "DaemonSet", "tombolo-agent");
      expect(set["spec"]).toMatchObject({
        updateStrategy: { rollingUpdate: { maxUnavailable: value } },
      });
    }
  });
});

test("renderObjects() has nothing of a version or an installation in it", () => {
  const settings = parseSettings({ "cluster-name": "east", "cluster-id": "1" }, "0.1.0");
  expect(JSON.stringify(renderObjects(settings))).not.toMatch(/managed-by|install-settings/);
});
