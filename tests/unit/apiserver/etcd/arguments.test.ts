import { describe, expect, test } from "@jest/globals";
import {
  embeddedEtcdArguments,
  foundingEtcdArguments,
} from "../../../../apiserver/etcd/arguments.ts";
import { pkiPaths } from "../../../../pki/files.ts";

describe("embeddedEtcdArguments()", () => {
  const args = embeddedEtcdArguments({
    listen: "https://10.0.0.1:2379",
    data: "/c/etcd",
    clusterToken: "token",
    pki: pkiPaths("/c/pki"),
  });

  test("demands client certificates of the cluster's bundle", () => {
    expect(args).toEqual(
      expect.arrayContaining(["--client-cert-auth", "--trusted-ca-file=/c/pki/ca-bundle.crt"]),
    );
  });

  test("opens no port but the one asked for, and no plain one", () => {
    const urls = args
      .filter((arg) => /-urls?=/.test(arg))
      .map((arg) => arg.split("=").at(-1) ?? "");
    expect(urls.every((url) => url === "https://10.0.0.1:2379" || url.startsWith("unix:"))).toBe(
      true,
    );
    expect(args).toContain("--enable-grpc-gateway=false");
  });
});

describe("foundingEtcdArguments()", () => {
  test("opens no port at all", () => {
    const args = foundingEtcdArguments({ data: "/c/etcd", clusterToken: "token" });
    const urls = args.filter((arg) => /-urls?=/.test(arg)).map((arg) => arg.split("=").at(-1));
    expect(urls).toHaveLength(4);
    expect(urls.every((url) => url?.startsWith("unix://") === true)).toBe(true);
  });
});
