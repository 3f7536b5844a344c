// What must change so that clusters read each other. Pure: facts in, steps out; no steps when all
// is as it should be, so that connecting again repairs exactly what is missing or broken.
import { isMeshError } from "../core/errors.ts";
import { bundleFingerprints } from "../../pki/bundle.ts";
import { formatDate } from "../../pki/certificate.ts";
import { RENEW_BEFORE_MS } from "../../pki/files.ts";
import { remoteCommonName } from "../../pki/common-names.ts";
import { verifyCertificate } from "../../pki/verify.ts";
import type { ClusterFacts } from "./cluster-facts.ts";

export type ConnectStep =
  /** `at` lets `reader` read it. */
  | { readonly kind: "admit-reader"; readonly at: string; readonly reader: string }
  /** `at` gets a new key, `peer`'s signature for it, and mirrors `peer` from then on. */
  | {
      readonly kind: "install-peer";
      readonly at: string;
      readonly peer: string;
      readonly reason: string;
    };

/**
 * Steps for every ordered pair. All readers are admitted before the first is told to come: until
 * its apiserver has made the user, a cluster refuses whom it has admitted.
 */
export function planConnect(clusters: readonly ClusterFacts[], nowMs: number): ConnectStep[] {
  const steps = clusters.flatMap((reader) =>
    clusters
      .filter((peer) => peer !== reader)
      .flatMap((peer) => planDirection({ reader, peer, nowMs })),
  );
  const admissions = steps.filter(({ kind }) => kind === "admit-reader");
  return [...admissions, ...steps.filter((step) => !admissions.includes(step))];
}

export function describeStep(step: ConnectStep): string {
  switch (step.kind) {
    case "admit-reader":
      return `${step.at}: let "${step.reader}" read its exported state`;
    case "install-peer":
      return `${step.at}: mirror "${step.peer}" with a new client certificate signed by "${step.peer}" (${step.reason})`;
  }
}

/** How `reader` comes to read `peer`. */
export function planDirection(options: {
  reader: ClusterFacts;
  peer: ClusterFacts;
  nowMs: number;
}): ConnectStep[] {
  const { reader, peer } = options;
  const [readerName, peerName] = [reader.profile.name, peer.profile.name];
  const steps: ConnectStep[] = [];
  if (!peer.readers.includes(readerName)) {
    steps.push({ kind: "admit-reader", at: peerName, reader: readerName });
  }
  const reason = installationNeed(options);
  if (reason !== undefined) {
    steps.push({ kind: "install-peer", at: readerName, peer: peerName, reason });
  }
  return steps;
}

/** Why the reader's files for the peer must be written, or undefined if they are right. */
function installationNeed(options: {
  reader: ClusterFacts;
  peer: ClusterFacts;
  nowMs: number;
}): string | undefined {
  const { reader, peer, nowMs } = options;
  const installed = reader.peers.find(({ name }) => name === peer.profile.name);
  if (installed === undefined) return "not connected yet";
  const { bundle, client } = installed;
  if (installed.problem !== undefined) return installed.problem;
  if (bundle === undefined) return "the peer's trust bundle is missing";
  if (client === undefined) return "the client certificate is missing";
  if (!sameMembers(installed.endpoints, peer.profile.etcdEndpoints)) {
    return "the peer's endpoints changed";
  }
  if (!sameMembers(bundleFingerprints(bundle), bundleFingerprints(peer.bundle))) {
    return "the peer's trust bundle changed";
  }
  try {
    const commonName = remoteCommonName(reader.profile.name);
    verifyCertificate(client, { bundle: peer.bundle, nowMs, usage: "client", commonName });
  } catch (error) {
    if (!isMeshError(error, "unauthenticated")) throw error;
    return error.message;
  }
  if (client.notAfterMs - nowMs < RENEW_BEFORE_MS) {
    return `the client certificate expires on ${formatDate(client.notAfterMs)}`;
  }
  return undefined;
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  return [...a].sort().join("\n") === [...b].sort().join("\n");
}
