import { describe, expect, test } from "@jest/globals";
import { createManifestMerge } from "../../../../../apiserver/source/manifests/merge.ts";
import { createSource, type NamespaceObject } from "../../../../../apiserver/source/objects.ts";

function namespace(name: string, from: string): { object: NamespaceObject; line: number } {
  return {
    object: { kind: "Namespace", name, labels: new Map([["from", from]]), global: true },
    line: 3,
  };
}

describe("createManifestMerge()", () => {
  test("setFile() lets the first file by name win, whatever came first", () => {
    const source = createSource();
    const merge = createManifestMerge(source);
    merge.setFile("b.yaml", [namespace("shop", "b")]);
    merge.setFile("a.yaml", [namespace("shop", "a")]);
    expect(source.Namespace.get("shop")?.labels.get("from")).toBe("a");
    expect(merge.duplicates()).toEqual([
      {
        severity: "warning",
        file: "b.yaml",
        line: 3,
        column: 1,
        object: "Namespace shop",
        message: 'Cannot use Namespace shop: "a.yaml" holds it too and comes first by name',
      },
    ]);
  });

  test("setFile() promotes the next claimant when the first lets go", () => {
    const source = createSource();
    const merge = createManifestMerge(source);
    merge.setFile("a.yaml", [namespace("shop", "a")]);
    merge.setFile("b.yaml", [namespace("shop", "b")]);
    merge.setFile("a.yaml", [namespace("bank", "a")]);
    expect(source.Namespace.get("shop")?.labels.get("from")).toBe("b");
    expect(merge.duplicates()).toEqual([]);
    merge.setFile("b.yaml", []);
    expect([...source.Namespace.entries()].map(([key]) => key)).toEqual(["bank"]);
  });

  test("setFile() with the same objects changes no row", () => {
    const source = createSource();
    const merge = createManifestMerge(source);
    merge.setFile("a.yaml", [namespace("shop", "a")]);
    const before = source.Namespace.get("shop");
    merge.setFile("a.yaml", [namespace("shop", "a")]);
    expect(source.Namespace.get("shop")).toBe(before);
  });
});
