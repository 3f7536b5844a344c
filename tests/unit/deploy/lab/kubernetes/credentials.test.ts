import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  ensureCredentials,
  kubernetesUsers,
  tokenLine,
} from "../../../../../deploy/lab/kubernetes/credentials.ts";
import {
  findKubernetesCluster,
  type KubernetesCluster,
} from "../../../../../deploy/lab/kubernetes/plan.ts";
import { planLab } from "../../../../../deploy/lab/plan.ts";
import { readKeyedCertificate } from "../../../../../pki/files.ts";

const NOW_MS = Date.parse("2026-01-01T00:00:00Z");
let home: string;
let plan: KubernetesCluster;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "tombolo-credentials-"));
  const kubernetes = { assets: "/assets", install: true };
  const lab = planLab({ name: "lab", clusters: ["east"], nodesPerCluster: 2, kubernetes }, home);
  plan = findKubernetesCluster(lab, "east");
  for (const { node } of plan.nodes) {
    expect(node.directory.startsWith(home)).toBe(true);
  }
  await ensureCredentials(plan, NOW_MS);
});
afterAll(() => rm(home, { recursive: true }));

describe("ensureCredentials()", () => {
  test("certifies the server under every address by which it is reached", async () => {
    const { certificate } = await readKeyedCertificate(plan.serverCertificate, plan.serverKey);
    for (const address of ["198.18.1.2", "127.0.0.1", "10.97.0.1", "fd00:96:1::1"]) {
      expect(certificate.x509.checkIP(address)).toBe(address);
    }
    expect(certificate.x509.checkHost("kubernetes.default.svc")).toBeDefined();
  });

  test("gives everybody a token of their own, in files for root only", async () => {
    const tokens = await readFile(plan.tokens, "utf8");
    const users = kubernetesUsers(plan);
    expect(users).toHaveLength(5);
    const found = await Promise.all(
      users.map(async ({ kubeconfig }) => {
        expect((await stat(kubeconfig)).mode & 0o777).toBe(0o600);
        const config = JSON.parse(await readFile(kubeconfig, "utf8")) as {
          users: { user: { token: string } }[];
        };
        return config.users[0]?.user.token ?? "";
      }),
    );
    expect(new Set(found).size).toBe(users.length);
    for (const token of found) expect(tokens).toContain(`${token},`);
  });

  test("changes nothing the second time", async () => {
    const before = await readFile(plan.adminKubeconfig, "utf8");
    await ensureCredentials(plan, NOW_MS);
    expect(await readFile(plan.adminKubeconfig, "utf8")).toBe(before);
  });
});

describe("tokenLine()", () => {
  test("quotes the groups, which are one field", () => {
    const line = tokenLine({ name: "admin", groups: ["a", "b"] }, "secret");
    expect(line).toBe('secret,admin,admin,"a,b"\n');
  });
});
