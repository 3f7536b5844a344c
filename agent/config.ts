// The agent's configuration file: read once at start, checked here, in words that say which field
// is wrong and what would be right.
import { readFile } from "node:fs/promises";
import { isAbsolute } from "node:path";
import {
  parseClusterId,
  parseClusterName,
  parseMaxConnectedClusters,
  type ClusterIdentity,
} from "../mesh/core/cluster.ts";
import { MeshError } from "../mesh/core/errors.ts";

export interface AgentConfig {
  readonly cluster: ClusterIdentity;
  readonly nodeName: string;
  /** Of our own cluster's etcd; no other is ever read. */
  readonly etcdEndpoints: readonly string[];
  readonly tls: {
    readonly caFile: string;
    readonly certFile: string;
    readonly keyFile: string;
  };
  /** Directory in a bpffs under which maps, programs and links of this node are pinned. */
  readonly bpfRoot: string;
  /** The cgroup whose sockets are balanced. */
  readonly cgroupPath: string;
  readonly stateDirectory: string;
  /** Unix socket of the status API. */
  readonly socket: string;
  readonly overlay: {
    readonly device: string;
    readonly port: number;
    readonly underlayMtu: number;
  };
  /** `ADDRESS:PORT` for /healthz and /readyz. */
  readonly healthListen: string | undefined;
  /** `ADDRESS:PORT` for /metrics. */
  readonly metricsListen: string | undefined;
}

const DEFAULT_OVERLAY = {
  device: "tombolo_vxlan",
  /** The port by which Linux and Cilium know VXLAN; IANA's 4789 is the other one. */
  port: 8472,
  underlayMtu: 1_500,
};
/** IFNAMSIZ without its final zero. */
const DEVICE_NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,14}$/;
const NODE_NAME = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;
/** IPv6's minimum plus the largest outer headers. */
const UNDERLAY_MTU_MIN = 1_350;
const UNDERLAY_MTU_MAX = 65_535;

export async function readAgentConfig(path: string): Promise<AgentConfig> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new MeshError("not_found", `Cannot read agent configuration "${path}"`, { cause });
  }
  return parseAgentConfig(text, path);
}

/** `path` only appears in messages. */
export function parseAgentConfig(text: string, path: string): AgentConfig {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new MeshError("invalid_argument", `Cannot parse agent configuration "${path}" as JSON`, {
      cause,
    });
  }
  const fields = new Fields(value, { path, prefix: "" });
  const maxConnectedClusters = parseMaxConnectedClusters(fields.get("maxConnectedClusters") ?? 255);
  const tls = fields.object("tls");
  const overlay = fields.object("overlay", {});
  return {
    cluster: {
      name: parseClusterName(fields.get("clusterName")),
      id: parseClusterId(fields.get("clusterId"), maxConnectedClusters),
      maxConnectedClusters,
    },
    nodeName: fields.text("nodeName", {
      pattern: NODE_NAME,
      want: "the node's name in Kubernetes",
    }),
    etcdEndpoints: fields.endpoints("etcdEndpoints"),
    tls: {
      caFile: tls.path("caFile"),
      certFile: tls.path("certFile"),
      keyFile: tls.path("keyFile"),
    },
    bpfRoot: fields.path("bpfRoot"),
    cgroupPath: fields.path("cgroupPath"),
    stateDirectory: fields.path("stateDirectory"),
    socket: fields.path("socket"),
    overlay: {
      device: overlay.text("device", {
        pattern: DEVICE_NAME,
        want: "a device name of at most 15 characters",
        missing: DEFAULT_OVERLAY.device,
      }),
      port: overlay.integer("port", { min: 1, max: 65_535, missing: DEFAULT_OVERLAY.port }),
      underlayMtu: overlay.integer("underlayMtu", {
        min: UNDERLAY_MTU_MIN,
        max: UNDERLAY_MTU_MAX,
        missing: DEFAULT_OVERLAY.underlayMtu,
      }),
    },
    healthListen: fields.listen("healthListen"),
    metricsListen: fields.listen("metricsListen"),
  };
}

/** One JSON object of the file with the place where it stands, for messages. */
class Fields {
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #place: { readonly path: string; readonly prefix: string };

  constructor(value: unknown, place: { readonly path: string; readonly prefix: string }) {
    this.#place = place;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      const what = place.prefix === "" ? "the file" : `"${place.prefix.slice(0, -1)}"`;
      throw new MeshError(
        "invalid_argument",
        `Cannot use ${what} of agent configuration "${place.path}": want a JSON object`,
      );
    }
    this.#values = value as Record<string, unknown>;
  }

  get(name: string): unknown {
    return this.#values[name];
  }

  object(name: string, missing?: object): Fields {
    const place = { ...this.#place, prefix: `${this.#place.prefix}${name}.` };
    return new Fields(this.get(name) ?? missing, place);
  }

  text(
    name: string,
    rule: { readonly pattern: RegExp; readonly want: string; readonly missing?: string },
  ): string {
    const value = this.get(name) ?? rule.missing;
    if (typeof value !== "string" || !rule.pattern.test(value)) this.#refuse(name, rule.want);
    return value;
  }

  path(name: string): string {
    const value = this.get(name);
    if (typeof value !== "string" || !isAbsolute(value)) this.#refuse(name, "an absolute path");
    return value;
  }

  integer(
    name: string,
    rule: { readonly min: number; readonly max: number; readonly missing: number },
  ): number {
    const value = this.get(name) ?? rule.missing;
    const valid = typeof value === "number" && Number.isInteger(value);
    if (!valid || value < rule.min || value > rule.max)
      this.#refuse(name, `a whole number from ${rule.min} to ${rule.max}`);
    return value;
  }

  endpoints(name: string): readonly string[] {
    const value: unknown = this.get(name);
    const valid =
      Array.isArray(value) &&
      value.length > 0 &&
      value.every((item: unknown) => typeof item === "string" && /^https:\/\/\S+:\d+$/.test(item));
    if (!valid) this.#refuse(name, 'a list of "https://ADDRESS:PORT"');
    return value as string[];
  }

  listen(name: string): string | undefined {
    const value = this.get(name);
    if (value === undefined || value === null) return undefined;
    if (typeof value !== "string" || !/^\S+:\d{1,5}$/.test(value))
      this.#refuse(name, '"ADDRESS:PORT"');
    return value;
  }

  #refuse(name: string, want: string): never {
    throw new MeshError(
      "invalid_argument",
      `Cannot use "${this.#place.prefix}${name}" of agent configuration "${this.#place.path}": want ${want}`,
    );
  }
}
