import { describe, expect, test } from "@jest/globals";
import {
  isNeededInPackage,
  productionPackages,
} from "../../../../deploy/images/production-packages.ts";

describe("productionPackages", () => {
  test("leaves out the project itself, development's packages and types", () => {
    const lock = {
      packages: {
        "": {},
        "node_modules/yaml": {},
        "node_modules/jest": { dev: true },
        "node_modules/fsevents": { devOptional: true },
        "node_modules/@types/node": {},
        "node_modules/etcd3/node_modules/long": {},
      },
    };
    expect(productionPackages(JSON.stringify(lock))).toEqual([
      "node_modules/etcd3/node_modules/long",
      "node_modules/yaml",
    ]);
  });

  test("refuses a lock file of a form that it does not know", () => {
    expect(() => productionPackages("{}")).toThrow('"packages" is missing');
  });
});

describe("isNeededInPackage", () => {
  test.each([
    "index.js",
    "package.json",
    "dist/gen/api.js",
    "bin/node",
    "linux_x64/koffi.node",
    "src/koffi/index.js",
    "descriptor.proto",
    "LICENSE",
    "LICENSE.md",
    "vendor/license.txt",
    "dist/doc/directives.js",
  ])("keeps %s", (path) => {
    expect(isNeededInPackage(path)).toBe(true);
  });

  test.each([
    "index.d.ts",
    "index.d.mts",
    "index.js.map",
    "README.md",
    "src/koffi/src/ffi.cc",
    "musl_x64/koffi.node",
    "prebuilds/linux-x64/bare-url.bare",
    "doc/index.md",
    "node_modules/other/index.js",
  ])("leaves out %s", (path) => {
    expect(isNeededInPackage(path)).toBe(false);
  });
});
