// What the plugin answers: results and errors in the JSON of the CNI version that was asked for.
import { isMeshError, messageFromError, MeshError } from "../../mesh/core/errors.ts";
import { isRecord, SUPPORTED_VERSIONS, type CniVersion } from "./request.ts";

/** Error codes of the specification (section 5); 100 and above are the plugin's own. */
export const CNI_ERROR = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  ioFailure: 5,
  decodeFailure: 6,
  invalidConfig: 7,
  tryAgainLater: 11,
  unavailable: 50,
  unavailableAndLimited: 51,
  addressesExhausted: 100,
  alreadyAttached: 101,
  checkFailed: 102,
} as const;

/** An error whose code the specification gives. */
export class CniError extends MeshError {
  readonly cniCode: number;

  constructor(cniCode: number, message: string, options?: ErrorOptions & { hint?: string }) {
    super("unavailable", message, options);
    this.cniCode = cniCode;
  }
}

/** How far the plugin had got; it decides what a wrong argument means. */
export type CniStage = "environment" | "decode" | "config" | "work";

export interface Attachment {
  readonly hostInterface: string;
  readonly hostMac: string;
  readonly podInterface: string;
  readonly podMac: string;
  readonly netns: string;
  readonly mtu: number;
  /** Without prefix length; IPv4 first. */
  readonly addresses: readonly AttachedAddress[];
}

export interface AttachedAddress {
  readonly family: 4 | 6;
  readonly address: string;
  readonly gateway: string;
}

/** Our interfaces, addresses and routes behind those of the plugin before us. */
export function formatResult(
  attachment: Attachment,
  options: {
    cniVersion: CniVersion;
    prevResult: Readonly<Record<string, unknown>> | undefined;
  },
): Record<string, unknown> {
  const { cniVersion, prevResult } = options;
  const earlier = (field: string): unknown[] => {
    const list = prevResult?.[field];
    return Array.isArray(list) ? (list as unknown[]) : [];
  };
  const interfaces = earlier("interfaces");
  // Versions before 1.0.0 name the family of every address; 1.1.0 tells an interface's MTU.
  const version = (family: 4 | 6): object =>
    cniVersion.startsWith("0.") ? { version: String(family) } : {};
  const mtu = cniVersion === "1.1.0" ? { mtu: attachment.mtu } : {};
  const podIndex = interfaces.length + 1;
  return {
    cniVersion,
    interfaces: [
      ...interfaces,
      { name: attachment.hostInterface, mac: attachment.hostMac, ...mtu },
      { name: attachment.podInterface, mac: attachment.podMac, sandbox: attachment.netns, ...mtu },
    ],
    ips: [
      ...earlier("ips"),
      ...attachment.addresses.map(({ family, address, gateway }) => ({
        ...version(family),
        address: `${address}/${family === 4 ? 32 : 128}`,
        gateway,
        interface: podIndex,
      })),
    ],
    routes: [
      ...earlier("routes"),
      ...attachment.addresses.map(({ family, gateway }) => ({
        dst: family === 4 ? "0.0.0.0/0" : "::/0",
        gw: gateway,
      })),
    ],
    dns: isRecord(prevResult?.["dns"]) ? prevResult["dns"] : {},
  };
}

export function formatVersions(cniVersion: string): Record<string, unknown> {
  return { cniVersion, supportedVersions: SUPPORTED_VERSIONS };
}

export function formatError(
  error: unknown,
  options: { cniVersion: string; stage: CniStage },
): Record<string, unknown> {
  const [msg = "", ...details] = messageFromError(error).split("\n");
  const hint = isMeshError(error) && error.hint !== undefined ? [error.hint] : [];
  return {
    cniVersion: options.cniVersion,
    code: error instanceof CniError ? error.cniCode : cniErrorCode(error, options.stage),
    msg,
    details: [...details, ...hint].join("\n"),
  };
}

function cniErrorCode(error: unknown, stage: CniStage): number {
  if (isMeshError(error, "unsupported") && stage === "config") return CNI_ERROR.incompatibleVersion;
  if (stage === "environment") return CNI_ERROR.invalidEnvironment;
  if (stage === "decode") return CNI_ERROR.decodeFailure;
  if (stage === "config") return CNI_ERROR.invalidConfig;
  if (!isMeshError(error)) return CNI_ERROR.ioFailure;
  switch (error.code) {
    case "unavailable":
      return CNI_ERROR.tryAgainLater;
    case "not_found":
      return CNI_ERROR.unknownContainer;
    case "resource_exhausted":
      return CNI_ERROR.addressesExhausted;
    case "already_exists":
      return CNI_ERROR.alreadyAttached;
    case "conflict":
      return CNI_ERROR.checkFailed;
    default:
      return CNI_ERROR.ioFailure;
  }
}
