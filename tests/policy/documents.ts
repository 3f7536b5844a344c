// Policy documents as people write them: the fields of the Kubernetes and Cilium APIs that the
// reference evaluator reads. Plain JSON; nothing of the project's own shapes.

export interface Metadata {
  readonly name: string;
  readonly namespace?: string;
}

/** Kubernetes' LabelSelector. */
export interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly Expression[];
}

export interface Expression {
  readonly key: string;
  readonly operator: string;
  readonly values?: readonly string[];
}

export interface NetworkPolicy {
  readonly apiVersion: "networking.k8s.io/v1";
  readonly kind: "NetworkPolicy";
  readonly metadata: Metadata;
  readonly spec: {
    readonly podSelector: Selector;
    readonly policyTypes?: readonly string[];
    readonly ingress?: readonly {
      readonly from?: readonly NetworkPeer[];
      readonly ports?: readonly NetworkPort[];
    }[];
    readonly egress?: readonly {
      readonly to?: readonly NetworkPeer[];
      readonly ports?: readonly NetworkPort[];
    }[];
  };
}

export interface NetworkPeer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}

export interface NetworkPort {
  readonly protocol?: string;
  readonly port?: number | string;
  readonly endPort?: number;
}

export interface CiliumPolicy {
  readonly apiVersion: "cilium.io/v2";
  readonly kind: "CiliumNetworkPolicy" | "CiliumClusterwideNetworkPolicy";
  readonly metadata: Metadata;
  readonly spec?: CiliumRule;
  readonly specs?: readonly CiliumRule[];
}

export interface CiliumRule {
  readonly endpointSelector?: Selector;
  readonly nodeSelector?: Selector;
  readonly description?: string;
  readonly enableDefaultDeny?: { readonly ingress?: boolean; readonly egress?: boolean };
  readonly ingress?: readonly CiliumTraffic[];
  readonly ingressDeny?: readonly CiliumTraffic[];
  readonly egress?: readonly CiliumTraffic[];
  readonly egressDeny?: readonly CiliumTraffic[];
}

/** `from…` in rules of ingress, `to…` in those of egress. */
export interface CiliumTraffic {
  readonly fromEndpoints?: readonly Selector[];
  readonly fromEntities?: readonly string[];
  readonly fromCIDR?: readonly string[];
  readonly fromCIDRSet?: readonly CidrRule[];
  readonly fromNodes?: readonly Selector[];
  readonly toEndpoints?: readonly Selector[];
  readonly toEntities?: readonly string[];
  readonly toCIDR?: readonly string[];
  readonly toCIDRSet?: readonly CidrRule[];
  readonly toNodes?: readonly Selector[];
  readonly toServices?: readonly {
    readonly k8sService?: { readonly serviceName: string; readonly namespace?: string };
  }[];
  readonly toFQDNs?: readonly { readonly matchName?: string; readonly matchPattern?: string }[];
  readonly toPorts?: readonly {
    readonly ports?: readonly CiliumPort[];
    /** Layer 7. */
    readonly rules?: Readonly<Record<string, unknown>>;
  }[];
  readonly icmps?: readonly { readonly fields: readonly IcmpField[] }[];
}

export interface CidrRule {
  readonly cidr: string;
  readonly except?: readonly string[];
}

export interface CiliumPort {
  readonly port: string;
  readonly endPort?: number;
  readonly protocol?: string;
}

export interface IcmpField {
  readonly family?: string;
  readonly type: number | string;
}

export type PolicyDocument = NetworkPolicy | CiliumPolicy;

/** A document is applied in one cluster and speaks for its pods alone. */
export interface Applied {
  readonly cluster: string;
  readonly document: PolicyDocument;
}

/** `NetworkPolicy/shop/web in east` */
export function documentName({ cluster, document }: Applied): string {
  const { namespace = "", name } = document.metadata;
  return `${document.kind}/${namespace === "" ? "" : `${namespace}/`}${name} in ${cluster}`;
}
