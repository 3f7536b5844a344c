// Who may do what in a Kubernetes cluster of the lab: an authority of the cluster's own, which
// signs the kube-apiserver's two certificates; a token for everybody who calls the kube-apiserver;
// and the key that signs service accounts' tokens. Made once and kept, so that a kubeconfig that
// somebody has copied stays good until the lab goes.
import { generateKeyPair, randomBytes } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { SECRET_FILE_MODE, writeFileAtomic } from "../../../pki/atomic-file.ts";
import { pkiPaths, readAuthority, writeKeyedCertificate } from "../../../pki/files.ts";
import {
  createCertificateAuthority,
  issueKubeletClient,
  issueKubernetesServer,
} from "../../../pki/issue.ts";
import { linkAddress } from "../plan.ts";
import { kubernetesServiceAddresses, type KubernetesCluster } from "./plan.ts";

const SERVICE_ACCOUNT_KEY_BITS = 2048;
const TOKEN_BYTES = 24;
const SERVICE_NAMES = [
  "kubernetes",
  "kubernetes.default",
  "kubernetes.default.svc",
  "kubernetes.default.svc.cluster.local",
  "localhost",
];

/** Somebody with a kubeconfig; what they may do follows from Kubernetes' own roles. */
interface KubernetesUser {
  readonly name: string;
  readonly groups: readonly string[];
  readonly kubeconfig: string;
}

/** Makes what is missing. */
export async function ensureCredentials(plan: KubernetesCluster, nowMs: number): Promise<void> {
  for (const directory of [plan.directory, plan.pki, plan.etcdData]) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  }
  // Written last, so its presence says that the rest is whole.
  if ((await readIfThere(plan.tokens)) !== undefined) return;
  await writeCertificates(plan, nowMs);
  await writeServiceAccountKeys(plan);
  const ca = await readFile(pkiPaths(plan.pki).caCertificate);
  const lines = await Promise.all(
    kubernetesUsers(plan).map(async (user) => {
      const token = randomBytes(TOKEN_BYTES).toString("base64url");
      const text = `${JSON.stringify(kubeconfig(plan, { user: user.name, token, ca }), null, 2)}\n`;
      await writeFileAtomic(user.kubeconfig, text, { mode: SECRET_FILE_MODE });
      return tokenLine(user, token);
    }),
  );
  await writeFileAtomic(plan.tokens, lines.join(""), { mode: SECRET_FILE_MODE });
}

/** Everybody who calls the cluster's kube-apiserver. Pure. */
export function kubernetesUsers(plan: KubernetesCluster): KubernetesUser[] {
  return [
    { name: "admin", groups: ["system:masters"], kubeconfig: plan.adminKubeconfig },
    {
      name: "system:kube-controller-manager",
      groups: [],
      kubeconfig: plan.controllerManagerKubeconfig,
    },
    { name: "system:kube-scheduler", groups: [], kubeconfig: plan.schedulerKubeconfig },
    ...plan.nodes.map(({ node, kubeletKubeconfig }) => ({
      name: `system:node:${node.name}`,
      groups: ["system:nodes"],
      kubeconfig: kubeletKubeconfig,
    })),
  ];
}

/** A line of --token-auth-file. */
export function tokenLine(
  { name, groups }: Omit<KubernetesUser, "kubeconfig">,
  token: string,
): string {
  return `${token},${name},${name},"${groups.join(",")}"\n`;
}

export function kubeconfig(
  plan: KubernetesCluster,
  { user, token, ca }: { user: string; token: string; ca: Buffer },
): unknown {
  const name = plan.cluster.name;
  return {
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name,
        cluster: { server: plan.server, "certificate-authority-data": ca.toString("base64") },
      },
    ],
    users: [{ name: user, user: { token } }],
    contexts: [{ name, context: { cluster: name, user } }],
    "current-context": name,
  };
}

async function writeCertificates(plan: KubernetesCluster, nowMs: number): Promise<void> {
  const { caCertificate, caKey } = pkiPaths(plan.pki);
  if ((await readIfThere(caCertificate)) === undefined) {
    const authority = await createCertificateAuthority(plan.cluster.name, nowMs);
    await writeKeyedCertificate(authority, { certificatePath: caCertificate, keyPath: caKey });
  }
  const authority = await readAuthority(plan.pki);
  const { control } = plan.cluster;
  const server = await issueKubernetesServer(authority, {
    dnsNames: SERVICE_NAMES,
    addresses: [
      linkAddress(control, 4),
      linkAddress(control, 6),
      "127.0.0.1",
      "::1",
      ...kubernetesServiceAddresses(plan.cluster),
    ],
    nowMs,
  });
  await writeKeyedCertificate(server, {
    certificatePath: plan.serverCertificate,
    keyPath: plan.serverKey,
  });
  await writeKeyedCertificate(await issueKubeletClient(authority, nowMs), {
    certificatePath: plan.kubeletClientCertificate,
    keyPath: plan.kubeletClientKey,
  });
}

async function writeServiceAccountKeys(plan: KubernetesCluster): Promise<void> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)("rsa", {
    modulusLength: SERVICE_ACCOUNT_KEY_BITS,
  });
  const options = { mode: SECRET_FILE_MODE };
  const secret = privateKey.export({ type: "pkcs1", format: "pem" }).toString();
  await writeFileAtomic(plan.serviceAccountKey, secret, options);
  const open = publicKey.export({ type: "spki", format: "pem" }).toString();
  await writeFileAtomic(plan.serviceAccountPublicKey, open, options);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
