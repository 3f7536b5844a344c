// Which installed npm packages the image holds, and which of their files: those that the lock file
// does not mark as development's, without what only compilers and people read. Pure.
import { MeshError } from "../../mesh/core/errors.ts";

interface LockedPackage {
  readonly dev?: boolean;
  readonly devOptional?: boolean;
}

/** Folders of production's packages ("node_modules/yaml"), in order; not all need be installed. */
export function productionPackages(lockFile: string): string[] {
  const lock = JSON.parse(lockFile) as { packages?: Record<string, LockedPackage> };
  if (lock.packages === undefined) {
    throw new MeshError("invalid_argument", 'Cannot use package-lock.json: "packages" is missing');
  }
  return Object.entries(lock.packages)
    .filter(([path, { dev, devOptional }]) => path !== "" && dev !== true && devOptional !== true)
    .map(([path]) => path)
    .filter((path) => !/(^|\/)node_modules\/@types\//.test(path))
    .sort();
}

/** Types, source maps, sources in C++, prose, and code for machines or runtimes that are not this. */
const NEVER_LOADED =
  /\.([cm]?ts|map|md|markdown|cc|hh|h|c|inc|def|gyp|gypi|bare|tsbuildinfo)$|^CMakeLists\.txt$/i;
const FOLDERS_NEVER_LOADED = /^(prebuilds|musl_[a-z0-9]+)$/;
/** What must go along with code that is passed on. */
const LICENCE = /^(licen[cs]e|copying|notice)/i;

/**
 * Whether a file of a package, by its path inside the package, is one that Node may load or a
 * licence. Nested node_modules are packages of their own.
 */
export function isNeededInPackage(path: string): boolean {
  const folders = path.split("/");
  const name = folders.pop() ?? "";
  if (folders.includes("node_modules")) return false;
  if (LICENCE.test(name)) return true;
  if (folders.some((folder) => FOLDERS_NEVER_LOADED.test(folder))) return false;
  return !NEVER_LOADED.test(name);
}
