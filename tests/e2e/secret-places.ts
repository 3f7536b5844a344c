// Places where a secret could stand by mistake: what a daemon says of itself, and its etcd.
import { expect } from "@jest/globals";
import { ETCD_PORT, linkAddress, type LabCluster } from "../../deploy/lab/plan.ts";
import { clusterPaths } from "../../mesh/contexts/cluster-directory.ts";
import { pkiPaths } from "../../pki/files.ts";
import { mustSucceed, type TestLab } from "./test-lab.ts";

export async function readPage(lab: TestLab, place: string, port: number): Promise<string> {
  const script = `fetch("http://127.0.0.1:${port}/metrics").then((page) => page.text())
    .then((text) => process.stdout.write(text))`;
  const words = ["lab", "exec", "--name", lab.name, place, "--", process.execPath, "-e", script];
  const page = mustSucceed(await lab.mesh(words));
  expect(page).toContain("# TYPE");
  return page;
}

/** Everything in a cluster's etcd, as its administrator reads it. */
export async function dumpEtcd(
  lab: TestLab,
  { name, control, directory }: LabCluster,
): Promise<string> {
  const pki = pkiPaths(clusterPaths(directory).pki);
  const address = linkAddress(control, 4);
  const words = ["lab", "exec", "--name", lab.name, `${name}/control`, "--"];
  // Its certificate is made for a name that only the mesh's own clients ask for.
  const flags = ["--insecure-skip-tls-verify", `--endpoints=https://${address}:${ETCD_PORT}`];
  const files = [`--cert=${pki.adminCertificate}`, `--key=${pki.adminKey}`];
  const etcdctl = ["env", "ETCDCTL_API=3", "etcdctl", ...flags, ...files, "get", "", "--prefix"];
  const contents = mustSucceed(await lab.mesh([...words, ...etcdctl]));
  expect(contents).toContain("cilium/.heartbeat");
  return contents;
}
