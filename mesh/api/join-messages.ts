// The messages of join.proto as they travel through grpc.ts: plain objects, 64-bit numbers as
// text. Bytes and texts are as the sender wrote them: nothing here is believed yet.

export interface CredentialMessage {
  readonly inviteId: Buffer;
  readonly secret: Buffer;
}

export interface FactsMessage {
  readonly name: string;
  readonly id: number;
  readonly maxConnectedClusters: number;
  readonly etcdEndpoints: readonly string[];
  readonly joinEndpoint: string;
  readonly caBundle: string;
  readonly prefixes: readonly PrefixClaimMessage[];
  readonly peers: readonly KnownPeerMessage[];
  readonly encryption: readonly string[];
  readonly version: string;
  readonly nowMs: string;
}

export interface PrefixClaimMessage {
  readonly prefix: string;
  readonly cluster: string;
  readonly node: string;
}

export interface KnownPeerMessage {
  readonly name: string;
  readonly id: number;
}

/** Absent messages decode as null. */
export interface CredentialRequest {
  readonly credential: CredentialMessage | null;
}

export interface ProposeRequest extends CredentialRequest {
  readonly facts: FactsMessage | null;
  readonly signingRequest: string;
}

export interface ProposeResponse {
  readonly facts: FactsMessage | null;
  readonly signingRequest: string;
}

export interface CommitRequest extends CredentialRequest {
  readonly certificate: string;
}

export interface CommitResponse {
  readonly certificate: string;
}

export interface CheckResponse {
  readonly state: string;
  readonly reason: string;
  readonly synced: boolean;
}

export type EmptyMessage = Readonly<Record<string, never>>;

/** The service's methods, in the words of grpc.ts: one request, one answer or a MeshError. */
export interface JoinMethods<Context> {
  propose(request: ProposeRequest, context: Context): Promise<ProposeResponse>;
  commit(request: CommitRequest, context: Context): Promise<CommitResponse>;
  check(request: CredentialRequest, context: Context): Promise<CheckResponse>;
  confirm(request: CredentialRequest, context: Context): Promise<EmptyMessage>;
  cancel(request: CredentialRequest, context: Context): Promise<EmptyMessage>;
}
