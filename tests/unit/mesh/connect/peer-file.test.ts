import { describe, expect, test } from "@jest/globals";
import {
  encodePeerFile,
  encodeRemoteUsers,
  parsePeerFile,
  parseRemoteUsers,
} from "../../../../mesh/connect/peer-file.ts";

const PEER = {
  endpoints: ["https://10.0.0.2:2379", "https://[fd00::2]:2379"],
  trustedCaFile: "/c/peers/west/ca.crt",
  keyFile: "/c/peers/west/client.key",
  certFile: "/c/peers/west/client.crt",
};

describe("peer file", () => {
  test("encodePeerFile() writes Cilium's names", () => {
    expect(encodePeerFile(PEER)).toBe(
      [
        "endpoints:",
        "  - https://10.0.0.2:2379",
        "  - https://[fd00::2]:2379",
        "trusted-ca-file: /c/peers/west/ca.crt",
        "key-file: /c/peers/west/client.key",
        "cert-file: /c/peers/west/client.crt",
        "",
      ].join("\n"),
    );
  });

  test("parsePeerFile() reads it back, and ignores fields that it does not know", () => {
    const text = `${encodePeerFile(PEER)}cilium-host-aliases: []\n`;
    expect(parsePeerFile(text, "p")).toEqual(PEER);
  });

  const refused: readonly [string, string, string][] = [
    ["no YAML", "endpoints: [", 'Cannot parse "p.yaml": want a YAML mapping'],
    ["a list", "- a", "want a YAML mapping"],
    ["no endpoint", "endpoints: []", 'Cannot use "endpoints" of "p.yaml": want a list of URLs'],
    ["an endpoint that is no URL", "endpoints: [a b]", "want a list of URLs"],
    ["a missing path", "endpoints: [https://a:1]", 'Cannot use "trusted-ca-file" of "p.yaml"'],
    ["an endless file", "#".repeat(300_000), "it is longer than"],
    ["a bomb of aliases", "a: &a [1]\nb: [*a, *a]", "Cannot parse"],
  ];
  for (const [name, text, message] of refused) {
    test(`parsePeerFile() refuses ${name}`, () => {
      expect(() => parsePeerFile(text, "p.yaml")).toThrow(message);
    });
  }
});

describe("remote users", () => {
  test("encodeRemoteUsers() and parseRemoteUsers() are inverse", () => {
    const text = encodeRemoteUsers(["west", "north"]);
    expect(text).toBe(
      "users:\n  - name: remote-west\n    role: remote\n  - name: remote-north\n    role: remote\n",
    );
    expect(parseRemoteUsers(text, "u")).toEqual(["west", "north"]);
    expect(parseRemoteUsers(encodeRemoteUsers([]), "u")).toEqual([]);
    expect(parseRemoteUsers("", "u")).toEqual([]);
  });

  test("parseRemoteUsers() refuses users that are no peers", () => {
    expect(() => parseRemoteUsers("users: [{name: root}]", "u.yaml")).toThrow(
      'Cannot use a user of "u.yaml"',
    );
    expect(() => parseRemoteUsers("users: 3", "u.yaml")).toThrow("want a list");
  });
});
