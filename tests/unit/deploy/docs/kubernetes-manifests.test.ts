import { describe, expect, test } from "@jest/globals";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";
import { kubernetesManifests } from "../../../../deploy/docs/kubernetes-manifests.ts";
import { parseAgentConfig } from "../../../../agent/config.ts";
import { parseClusterSettings } from "../../../../mesh/contexts/cluster-directory.ts";
import { ROOT } from "../../../sources.ts";

const FOLDER = join(ROOT, "deploy/kubernetes");
const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
  version: string;
};
const run = promisify(execFile);
const hasKubectl = await run("kubectl", ["version", "--client"]).then(
  () => true,
  () => false,
);

describe("deploy/kubernetes", () => {
  test("is what the renderer of `mesh install` makes: `npm run docs`", () => {
    const files = readdirSync(FOLDER).map((name) => [
      name,
      readFileSync(join(FOLDER, name), "utf8"),
    ]);
    expect(Object.fromEntries(files)).toEqual(Object.fromEntries(kubernetesManifests(version)));
  });

  test("runs as no cluster as long as nobody has named one", () => {
    const text = kubernetesManifests(version).get("configuration.yaml") ?? "";
    const [first] = parseAllDocuments(text).map((document) => document.toJS() as ConfigMap);
    expect(() => parseClusterSettings(first?.data["cluster.json"] ?? "", "x")).toThrow(
      "as cluster name",
    );
    expect(() => parseAgentConfig(first?.data["agent.json"] ?? "", "x")).toThrow("as cluster");
  });

  (hasKubectl ? test : test.skip)(
    "becomes a cluster by the overlay of docs/kubernetes.md",
    async () => {
      const page = readFileSync(join(ROOT, "docs/kubernetes.md"), "utf8");
      const [, overlay = ""] = /```yaml\n(# kustomization\.yaml\n[^]*?)```/.exec(page) ?? [];
      const place = mkdtempSync(join(tmpdir(), "tombolo-overlay-"));
      mkdirSync(join(place, "base"));
      for (const [name, text] of kubernetesManifests(version)) {
        writeFileSync(join(place, "base", name), text);
      }
      const [, budget = ""] = /```yaml\n(# disruption-budget\.yaml[^]*?)```/.exec(page) ?? [];
      writeFileSync(join(place, "disruption-budget.yaml"), budget);
      const local = overlay.replace(/^ {2}- .*deploy\/kubernetes.*$/m, "  - base");
      writeFileSync(join(place, "kustomization.yaml"), local);
      const { stdout } = await run("kubectl", ["kustomize", place]);
      rmSync(place, { recursive: true });
      const objects = parseAllDocuments(stdout).map((document) => document.toJS() as ConfigMap);
      const data = objects.find(({ metadata }) => metadata.name === "tombolo-cluster")?.data ?? {};
      expect(parseClusterSettings(data["cluster.json"] ?? "", "x")).toMatchObject({ name: "east" });
      const agent = parseAgentConfig(data["agent.json"] ?? "", "x", { nodeName: "node1" });
      expect(agent.cluster).toMatchObject({ name: "east", id: 1 });
      expect(stdout).not.toContain(`image: tombolo:${version}`);
      expect(stdout.match(/image: registry\.example\/tombolo:/g)).toHaveLength(4);
      expect(stdout).toContain("kind: PodDisruptionBudget");
    },
  );
});

interface ConfigMap {
  readonly metadata: { readonly name: string };
  readonly data: Readonly<Record<string, string>>;
}
