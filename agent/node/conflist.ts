// What container runtimes read of us, as text: a configuration of our own, or another plugin's
// with ours behind it. Pure.
import { MeshError } from "../../mesh/core/errors.ts";
import type { CniSettings } from "../config.ts";

/** Runtimes take the first configuration in the order of names. */
export const CONFLIST_NAME = "05-tombolo.conflist";
export const PLUGIN_NAME = "tombolo-cni";

/**
 * Of our own configuration. Runtimes that know CNI 1.1 choose the best of `cniVersions`, and then
 * ask for GC and STATUS; older ones (containerd 1.6) refuse 1.1.0 and do not know that field.
 */
const OWN_VERSION = "1.0.0";
const OWN_VERSIONS = ["1.0.0", "1.1.0"];

/** A file of the configuration directory. */
export interface ConfigurationFile {
  readonly name: string;
  readonly text: string;
}

export function encodeOwnConflist(stateDirectory: string): string {
  return encode({
    cniVersion: OWN_VERSION,
    cniVersions: OWN_VERSIONS,
    name: "tombolo",
    plugins: [{ type: PLUGIN_NAME, stateDirectory }],
  });
}

/** The configuration that ours stands behind: the one that is named, or the first of all others. */
export function findChainBase(
  names: readonly string[],
  { chainAfter }: Pick<CniSettings, "chainAfter">,
): string | undefined {
  const others = names.filter(
    (name) => /\.(conf|conflist|json)$/.test(name) && name !== CONFLIST_NAME,
  );
  if (chainAfter !== undefined) return others.find((name) => name === chainAfter);
  return others.sort()[0];
}

/** Name and version stay the other's: plugins keep their own files under them. */
export function encodeChainedConflist(base: ConfigurationFile, stateDirectory: string): string {
  const value = parseConfiguration(base);
  const { plugins, ...list } = Array.isArray(value["plugins"]) ? value : listFromSingle(value);
  const others = (plugins as unknown[]).filter((plugin) => !isOurs(plugin));
  if (others.length === 0) throw refused(base, "it has no plugins");
  return encode({
    ...list,
    plugins: [...others, { type: PLUGIN_NAME, stateDirectory, chained: true }],
  });
}

/** A configuration of one plugin, as runtimes read it. */
function listFromSingle(value: Record<string, unknown>): Record<string, unknown> {
  const { cniVersion, name } = value;
  return { cniVersion, name, plugins: [value] };
}

function parseConfiguration(base: ConfigurationFile): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(base.text);
  } catch (cause) {
    throw refused(base, "it is no JSON", { cause });
  }
  if (isRecord(value) && typeof value["name"] === "string") return value;
  throw refused(base, "it names no network");
}

function isOurs(plugin: unknown): boolean {
  return isRecord(plugin) && plugin["type"] === PLUGIN_NAME;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function encode(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function refused(base: ConfigurationFile, reason: string, options?: ErrorOptions): MeshError {
  return new MeshError(
    "invalid_argument",
    `Cannot stand behind CNI configuration "${base.name}": ${reason}`,
    options,
  );
}
