// What the commands of drills share: which drill is meant (a file or flags), in which contexts.
import { readFile } from "node:fs/promises";
import { MeshError } from "../core/errors.ts";
import type { DrillDefinition } from "../drill/definition.ts";
import {
  definitionFromFlags,
  parseDefinition,
  type DefinitionFlags,
} from "../drill/definition-file.ts";
import { usageError } from "./arguments.ts";
import { MESH_FLAGS, type DrillMeshWish } from "./drill-mesh.ts";

export const DEFINITION_FLAGS = {
  ...MESH_FLAGS,
  name: { type: "string" },
  fault: { type: "string" },
  cluster: { type: "string" },
  peer: { type: "string" },
  node: { type: "string" },
  percent: { type: "string" },
  service: { type: "string", multiple: true },
  direction: { type: "string" },
  "flow-percent": { type: "string" },
  duration: { type: "string" },
  baseline: { type: "string" },
  failback: { type: "string" },
  rto: { type: "string" },
  "max-lost": { type: "string" },
  "failback-rto": { type: "string" },
  rate: { type: "string" },
  protocol: { type: "string" },
  seed: { type: "string" },
} as const;

export const DEFINITION_HELP = `  --fault KIND        cluster-black-hole, cluster-refuse,
                      partition, node-loss, latency, loss, drain, stale-cluster,
                      control-plane-loss, apiserver-kill, etcd-kill, nats-kill
  --cluster NAME      the cluster that it happens to
  --peer NAME         the other side of a partition
  --node NAME         the node that is lost
  --percent N         packets dropped (loss), new connections sent elsewhere (drain)
  --service NS/NAME   a service that is judged, again for more; all that are touched by default
  --direction WAY     both (default), outbound, inbound
  --flow-percent N    share of the flows that the fault concerns (100)
  --duration TIME     how long the fault lasts (20s)
  --baseline TIME     how long requests are watched before it (5s)
  --failback TIME     how long after it, at most (90s)
  --rto TIME          recovery that is promised; --max-lost N, --failback-rto TIME likewise
  --rate N            canaries a second, from each node to each service (20)
  --protocol NAME     connect (default), or echo for backends that answer lines
  --seed N            repeats what is left to chance
  --context NAME      a context, again for more; all of this machine's own by default
  --kubeconfig FILE   names contexts besides this machine's own ($KUBECONFIG, ~/.kube/config)
  --namespace NAME    where Tombolo lives in Kubernetes clusters (tombolo-system)
`;

export interface DefinitionWish extends DefinitionFlags {
  readonly seed?: string | undefined;
}

/** From the file that the word names, or from the flags. Throws `invalid_argument`. */
export async function readDefinition(
  words: readonly string[],
  flags: DefinitionWish,
  usage: string,
): Promise<DrillDefinition> {
  const [file, ...more] = words;
  if (more.length > 0) throw usageError("Cannot drill: want one file, or flags", usage);
  const seed = parseNumber("seed", flags.seed, 0xffff_ffff);
  if (file === undefined) {
    if (flags.fault === undefined) {
      throw usageError("Cannot drill: want a file, or --fault with --cluster", usage);
    }
    return { ...definitionFromFlags(flags), ...(seed === undefined ? {} : { seed }) };
  }
  const given = Object.entries(flags).find(
    ([name, value]) => name !== "seed" && value !== undefined,
  );
  if (given !== undefined) {
    throw usageError(`Cannot use --${given[0]} with a file: it says what is meant`, usage);
  }
  const definition = parseDefinition(file, await readText(file));
  return { ...definition, ...(seed === undefined ? {} : { seed }) };
}

/** The flags that say what is drilled, without the others. */
export function definitionFlags(values: DefinitionWish & DrillMeshWish): DefinitionWish {
  const names = Object.keys(DEFINITION_FLAGS).filter((name) => !(name in MESH_FLAGS));
  return Object.fromEntries(
    Object.entries(values).filter(([name]) => names.includes(name)),
  ) as DefinitionWish;
}

/** Throws `not_found` for a file that cannot be read. */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    throw new MeshError("invalid_argument", `Cannot read "${file}"`, { cause });
  }
}

/** A whole number from 0; undefined if it is not given. */
export function parseNumber(
  flag: string,
  text: string | undefined,
  max: number,
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value <= max) return value;
  throw new MeshError(
    "invalid_argument",
    `Cannot use --${flag} "${text}": want a whole number, at most ${max}`,
  );
}
