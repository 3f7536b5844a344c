// Plans an upgrade: settings as they were unless told otherwise, a version that does not go back.
// Pure; commands/upgrade.ts applies what comes out.
import { MeshError } from "../core/errors.ts";
import type { Installed } from "./installed.ts";
import {
  parseSettings,
  textsFromSettings,
  type InstallSettings,
  type SettingTexts,
} from "./settings.ts";
import { compareVersions, imageOfVersion } from "./versions.ts";

/** What a cluster is to its peers and to its own objects; an upgrade leaves it alone. */
const FIXED = ["cluster-name", "cluster-id", "max-connected-clusters"];

export interface UpgradePlan {
  readonly settings: InstallSettings;
  readonly from: string;
  /** What the operator should know. */
  readonly remarks: readonly string[];
}

export function planUpgrade(
  installed: Installed | undefined,
  wanted: {
    readonly namespace: string;
    readonly version: string;
    /** Flags that were given. */
    readonly texts: SettingTexts;
    /** Go back to an older version as well. */
    readonly force: boolean;
  },
): UpgradePlan {
  const { namespace, version, texts, force } = wanted;
  if (installed === undefined) {
    throw new MeshError(
      "not_found",
      `Cannot upgrade Tombolo in namespace "${namespace}": it is not installed there`,
      { hint: "`mesh install` installs it; --namespace NAME if it is in another one" },
    );
  }
  if (installed.settings === undefined || installed.version === undefined) {
    throw new MeshError(
      "conflict",
      `Cannot upgrade Tombolo in namespace "${namespace}": \`mesh install\` has not installed it`,
      { hint: "upgrade it as it was installed: apply the manifests of the new version" },
    );
  }
  const from = installed.version;
  if (compareVersions(version, from) < 0 && !force) {
    throw new MeshError(
      "conflict",
      `Cannot upgrade to version ${version}: the newer version ${from} is installed`,
      { hint: `use the \`mesh\` of version ${from} or newer, or --force to go back` },
    );
  }
  const before = textsFromSettings(installed.settings);
  const fixed = FIXED.find((name) => texts[name] !== undefined && texts[name] !== before[name]);
  if (fixed !== undefined) {
    throw new MeshError(
      "invalid_argument",
      `Cannot change --${fixed} from "${String(before[fixed])}" to "${String(texts[fixed])}": peers know the cluster by it`,
      { hint: "`mesh uninstall`, then `mesh install` as another cluster" },
    );
  }
  const oldImage = installed.settings.image;
  const image = imageOfVersion(oldImage, { from, to: version });
  const keptImage = texts["image"] === undefined && image === oldImage && from !== version;
  return {
    settings: parseSettings({ ...before, image, ...defined(texts) }, version),
    from,
    remarks: keptImage ? [`image "${oldImage}" stays: --image NAME exchanges it`] : [],
  };
}

function defined(texts: SettingTexts): SettingTexts {
  return Object.fromEntries(Object.entries(texts).filter(([, value]) => value !== undefined));
}
