import { describe, expect, test } from "@jest/globals";
import { planLab } from "../../../../deploy/lab/plan.ts";
import { requireManifests, resolveSource, sourceOf } from "../../../../deploy/lab/source.ts";

const nothing = { source: undefined, assets: undefined, install: undefined };
const size = { name: "lab", clusters: ["east"], nodesPerCluster: 1 };
const recorded = { ...size, kubernetes: { assets: "/kept", install: false } };

describe("resolveSource()", () => {
  test("makes manifests unless Kubernetes is asked for or there", () => {
    expect(resolveSource(nothing, undefined)).toBeUndefined();
    expect(resolveSource(nothing, size)).toBeUndefined();
    expect(resolveSource(nothing, recorded)).toEqual(recorded.kubernetes);
    const asked = { ...nothing, source: "kubernetes", assets: "/new" };
    expect(resolveSource(asked, undefined)).toEqual({ assets: "/new", install: true });
  });

  test("prefers what was said now to what was said then", () => {
    const asked = { ...nothing, assets: "/new" };
    expect(resolveSource(asked, recorded)).toEqual({ assets: "/new", install: false });
  });

  test("refuses what it does not know, and an option without its source", () => {
    expect(() => resolveSource({ ...nothing, source: "docker" }, undefined)).toThrow(
      "want --source manifests or kubernetes",
    );
    expect(() => resolveSource({ ...nothing, install: false }, undefined)).toThrow("--no-install");
  });
});

describe("sourceOf()", () => {
  test("is what a record says", () => {
    expect([sourceOf({}), sourceOf(recorded)]).toEqual(["manifests", "kubernetes"]);
  });
});

describe("requireManifests()", () => {
  test("refuses the lab's own pods where pods are Kubernetes'", () => {
    requireManifests(planLab(size, "/home"), "add a pod");
    expect(() => requireManifests(planLab(recorded, "/home"), "add a pod")).toThrow(
      "Cannot add a pod",
    );
  });
});
