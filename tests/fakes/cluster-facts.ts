// Facts of clusters that fit together; tests change the one thing that they are about.
import type { ClusterFacts } from "../../mesh/connect/cluster-facts.ts";
import { createCertificateAuthority, type CertificateAuthority } from "../../pki/issue.ts";

/** Within every certificate's life. */
export const FACTS_NOW_MS = Date.UTC(2026, 0, 1);

export interface FactsMaker {
  readonly authority: CertificateAuthority;
  /** Each call makes a new value. */
  make(changes?: Partial<ClusterFacts>): ClusterFacts;
}

export async function createFactsMaker(name: string, id: number): Promise<FactsMaker> {
  const authority = await createCertificateAuthority(name, FACTS_NOW_MS);
  const endpoint = `https://10.0.0.${id}:2379`;
  return {
    authority,
    make: (changes = {}) => ({
      context: name,
      profile: {
        name,
        id,
        maxConnectedClusters: 255,
        etcdEndpoints: [endpoint],
        joinEndpoint: `10.0.0.${id}:2390`,
      },
      bundle: { authorities: [authority.certificate] },
      endpoints: [{ endpoint, answer: { kind: "reachable", clockOffsetMs: 0 } }],
      prefixes: [{ prefix: `10.${id}.0.0/16`, cluster: name, node: `${name}-1` }],
      encryption: ["none"],
      advertised: { id, maxConnectedClusters: 255 },
      apiserverProblem: undefined,
      version: "0.1.0",
      peers: [],
      readers: [],
      ...changes,
    }),
  };
}
