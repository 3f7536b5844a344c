import { describe, expect, test } from "@jest/globals";
import { installedFromConfigMap } from "../../../../mesh/install/installed.ts";
import { renderInstallation } from "../../../../mesh/install/render.ts";
import { parseSettings } from "../../../../mesh/install/settings.ts";

const settings = parseSettings({ "cluster-name": "east", "cluster-id": "7", mtu: "9000" }, "0.1.0");
const configMap = renderInstallation(settings, {
  version: "0.1.0",
  budgetVersion: "policy/v1",
}).find(({ metadata }) => metadata.name === "tombolo-cluster");

describe("installedFromConfigMap()", () => {
  test("gives back what was installed", () => {
    expect(installedFromConfigMap(configMap ?? { metadata: { name: "" } })).toEqual({
      cluster: settings.cluster,
      settings,
      version: "0.1.0",
    });
  });

  test("knows no settings of what others have applied, and no cluster of an unset base", () => {
    const data = { "cluster.json": '{"name":"","id":0}' };
    expect(installedFromConfigMap({ metadata: { name: "x" }, data })).toEqual({
      cluster: undefined,
      settings: undefined,
      version: undefined,
    });
  });

  test("refuses settings that cannot be read", () => {
    const annotations = { "tombolo.io/install-settings": "{" };
    expect(() => installedFromConfigMap({ metadata: { name: "x", annotations } })).toThrow(
      'Cannot read annotation "tombolo.io/install-settings"',
    );
  });
});
