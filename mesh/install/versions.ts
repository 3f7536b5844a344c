// Versions of Tombolo, compared; and the image that belongs to one.
import { MeshError } from "../core/errors.ts";
import { defaultImage } from "./settings.ts";

const VERSION = /^(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?$/;

/** Below zero if `a` is older than `b`. Throws `invalid_argument` for what is no version. */
export function compareVersions(a: string, b: string): number {
  const left = parts(a);
  const right = parts(b);
  const difference = left.numbers.map((number, i) => number - (right.numbers[i] ?? 0));
  const first = difference.find((item) => item !== 0);
  if (first !== undefined) return first;
  if (left.preview === right.preview) return 0;
  // A preview comes before its release.
  if (left.preview === "") return 1;
  if (right.preview === "") return -1;
  return left.preview < right.preview ? -1 : 1;
}

/**
 * The image of another version: where the tag was the version, it is again. Any other name was
 * somebody's choice and stays.
 */
export function imageOfVersion(
  image: string,
  { from, to }: { readonly from: string; readonly to: string },
): string {
  if (image === defaultImage(from)) return defaultImage(to);
  for (const tag of [from, `v${from}`]) {
    if (image.endsWith(`:${tag}`)) {
      return `${image.slice(0, -from.length)}${to}`;
    }
  }
  return image;
}

function parts(version: string): { readonly numbers: readonly number[]; readonly preview: string } {
  const match = VERSION.exec(version);
  if (match === null) {
    throw new MeshError(
      "invalid_argument",
      `Cannot compare version "${version}": want MAJOR.MINOR.PATCH`,
    );
  }
  return { numbers: match.slice(1, 4).map(Number), preview: match[4] ?? "" };
}
