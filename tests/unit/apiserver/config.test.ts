import { describe, expect, test } from "@jest/globals";
import { parseApiserverConfig, readApiserverConfig } from "../../../apiserver/config.ts";

const GOOD = {
  directory: "/var/lib/tombolo/east",
  etcd: { mode: "embedded", listen: "https://10.0.0.1:2379" },
  joinListen: "10.0.0.1:9881",
};

const parse = (fields: object) =>
  parseApiserverConfig(JSON.stringify({ ...GOOD, ...fields }), "c.json");

describe("parseApiserverConfig()", () => {
  test("fills in the defaults", () => {
    expect(parse({})).toEqual({
      ...GOOD,
      etcd: { ...GOOD.etcd, keepRunning: false },
      source: { kind: "manifests" },
      healthListen: "127.0.0.1:9880",
      policyDefaultScope: "local",
      logLevel: "info",
    });
  });

  test("takes what selectors mean that name no cluster", () => {
    expect(parse({ policyDefaultScope: "all" }).policyDefaultScope).toBe("all");
  });

  test("takes an external etcd and IPv6 addresses", () => {
    const etcd = { mode: "external", endpoints: ["https://etcd.example:2379"] };
    expect(parse({ etcd, joinListen: "[fd00::1]:9881" }).etcd).toEqual(etcd);
  });

  test("takes a Kubernetes API as the source", () => {
    for (const source of [
      { kind: "kubernetes", kubeconfig: "/etc/kubeconfig" },
      { kind: "kubernetes", kubeconfig: "/etc/kubeconfig", context: "east" },
      { kind: "kubernetes", kubeconfig: "in-cluster" },
    ])
      expect(parse({ source }).source).toEqual(source);
  });

  test("takes the objects that the directory follows", () => {
    expect(parse({}).objects).toBeUndefined();
    for (const objects of [
      { kubeconfig: "/etc/kubeconfig", context: "east", namespace: "tombolo-system" },
      { kubeconfig: "in-cluster", namespace: "mesh" },
    ])
      expect(parse({ objects }).objects).toEqual(objects);
  });

  const bad: [object, string][] = [
    [{ directory: "east" }, 'Cannot use "directory" of "c.json": want an absolute path'],
    [{ joinListen: "9881" }, 'Cannot use "joinListen" of "c.json": want "ADDRESS:PORT"'],
    [{ joinListen: "example.test:1" }, '"joinListen"'],
    [{ healthListen: "127.0.0.1:70000" }, '"healthListen"'],
    [{ policyDefaultScope: "mesh" }, '"policyDefaultScope" of "c.json": want one of local, all'],
    [{ logLevel: "loud" }, "one of debug, info, warn, error"],
    [{ etcd: undefined }, '"etcd"'],
    [{ etcd: { mode: "sqlite" } }, '"etcd.mode" of "c.json": want "embedded" or "external"'],
    [{ etcd: { mode: "embedded", listen: "http://10.0.0.1:2379" } }, '"etcd.listen"'],
    [{ etcd: { ...GOOD.etcd, keepRunning: 1 } }, '"etcd.keepRunning"'],
    [{ etcd: { mode: "external", endpoints: [] } }, '"etcd.endpoints"'],
    [{ etcd: { ...GOOD.etcd, endpoints: [] } }, '"etcd.endpoints" of "c.json": want only mode'],
    [{ source: "kubernetes" }, '"source"'],
    [{ source: { kind: "consul" } }, '"source.kind"'],
    [{ source: { kind: "manifests", kubeconfig: "/k" } }, "want only kind"],
    [{ source: { kind: "kubernetes" } }, '"source.kubeconfig"'],
    [{ source: { kind: "kubernetes", kubeconfig: "k" } }, "an absolute path"],
    [
      { source: { kind: "kubernetes", kubeconfig: "in-cluster", context: "east" } },
      '"source.context"',
    ],
    [{ objects: "in-cluster" }, '"objects"'],
    [{ objects: { kubeconfig: "in-cluster" } }, '"objects.namespace"'],
    [{ objects: { kubeconfig: "in-cluster", namespace: "a/b" } }, '"objects.namespace"'],
    [{ objects: { kubeconfig: "k", namespace: "mesh" } }, '"objects.kubeconfig"'],
    [{ objects: { kubeconfig: "/k", namespace: "mesh", kind: "x" } }, '"objects.kind"'],
    [
      {
        etcd: { mode: "external", endpoints: ["https://etcd.example:2379"] },
        objects: { kubeconfig: "/k", namespace: "mesh" },
      },
      'unless "etcd.mode" is "embedded"',
    ],
    [{ helthListen: "x" }, '"helthListen" of "c.json": want only directory'],
  ];
  for (const [fields, wanted] of bad) {
    test(`refuses ${JSON.stringify(fields)} with a sentence about the field`, () => {
      expect(() => parse(fields)).toThrow(wanted);
    });
  }

  test("refuses what is no JSON object", () => {
    expect(() => parseApiserverConfig("{", "c.json")).toThrow('Cannot parse "c.json" as JSON');
    expect(() => parseApiserverConfig("[]", "c.json")).toThrow("a JSON object");
  });
});

describe("readApiserverConfig()", () => {
  test("names the file that is not there", async () => {
    await expect(readApiserverConfig("/nonexistent/c.json")).rejects.toMatchObject({
      code: "not_found",
      message: 'Cannot read apiserver configuration "/nonexistent/c.json"',
    });
  });
});
