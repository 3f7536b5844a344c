// This machine's Debian mirrors, read from apt's configuration, for making a Debian root from the
// same place. Pure: files' texts in, lines for another root's apt out. No mirror has a name here.
import { MeshError } from "../../mesh/core/errors.ts";

export interface AptSource {
  readonly uri: string;
  /** "bookworm", "bookworm-security". */
  readonly suite: string;
}

export interface AptMirrors {
  /** Where the release itself comes from. */
  readonly mirror: string;
  /** One-line entries for everything of the release. */
  readonly sourcesList: string;
}

/** Entries of Debian's own archive: third parties have other suites or components. */
const COMPONENT = "main";

/** Throws `not_found` when no file names a mirror of the release. */
export function mirrorsFromSources(
  files: readonly { readonly name: string; readonly text: string }[],
  release: string,
): AptMirrors {
  const wanted = [release, `${release}-updates`, `${release}-security`];
  const all = files.flatMap(({ name, text }) =>
    name.endsWith(".sources") ? parseStanzas(text) : parseLines(text),
  );
  const found = wanted.flatMap(
    (suite) => all.find((source) => source.suite === suite && isHttp(source.uri)) ?? [],
  );
  const mirror = found.find(({ suite }) => suite === release)?.uri;
  if (mirror === undefined) {
    throw new MeshError(
      "not_found",
      `Cannot make a Debian root: apt's sources on this machine name no mirror of ${release}`,
      { hint: "stage the build context with `npm run image -- --context DIRECTORY` and build it" },
    );
  }
  const lines = found.map(({ uri, suite }) => `deb ${uri} ${suite} ${COMPONENT}\n`);
  return { mirror, sourcesList: lines.join("") };
}

/** The settings of `apt-config dump` that decide how a mirror is reached. */
export function transportSettings(dump: string): string {
  const wanted = /^Acquire::(https?|Retries|Check-Valid-Until|ForceIPv[46])\b.* "[^"]+";$/i;
  const lines = dump.split("\n").filter((line) => wanted.test(line));
  return lines.map((line) => `${line}\n`).join("");
}

/** `deb [option=value] URI SUITE COMPONENT...` */
function parseLines(text: string): AptSource[] {
  return text.split("\n").flatMap((line) => {
    const [type, uri, suite, ...components] = line
      .replace(/#.*/, "")
      .replace(/\[[^\]]*\]/, " ")
      .trim()
      .split(/\s+/);
    if (type !== "deb" || uri === undefined || suite === undefined) return [];
    return components.includes(COMPONENT) ? [{ uri, suite }] : [];
  });
}

/** Stanzas of fields (deb822). */
function parseStanzas(text: string): AptSource[] {
  const withoutComments = text.replaceAll(/^#.*\n?/gm, "");
  return withoutComments.split(/\n\s*\n/).flatMap((stanza) => {
    const words = (field: string): string[] => {
      const match = new RegExp(`^${field}:(.*(?:\\n[ \\t]+.*)*)`, "im").exec(stanza);
      return (match?.[1] ?? "").split(/\s+/).filter((word) => word !== "");
    };
    const isUsed = words("Enabled")[0] !== "no" && words("Types").includes("deb");
    if (!isUsed || !words("Components").includes(COMPONENT)) return [];
    return words("URIs").flatMap((uri) => words("Suites").map((suite) => ({ uri, suite })));
  });
}

function isHttp(uri: string): boolean {
  return /^https?:\/\//.test(uri);
}
