import { describe, expect, test } from "@jest/globals";
import { parseOperations, splitPlace } from "../../../../apiserver/nats/operations-config.ts";
import { MeshError } from "../../../../mesh/core/errors.ts";

const wrong = (field: string, want: string): MeshError =>
  new MeshError("invalid_argument", `Cannot use "${field}": want ${want}`);
const parse = (value: unknown): unknown => parseOperations(value, wrong);
const LISTEN = { listen: "198.18.1.2:4222", leafListen: "[fd00::1]:7422" };

describe("parseOperations()", () => {
  test("has defaults: our child, on loopback, for our own operators", () => {
    expect(parse(LISTEN)).toEqual({
      ...LISTEN,
      mode: "embedded",
      directory: undefined,
      monitorListen: "127.0.0.1:8222",
      keepRunning: false,
      acceptDrillsFrom: "own",
    });
  });

  test("takes everything", () => {
    const all = {
      ...LISTEN,
      mode: "beside",
      directory: "/var/run/nats",
      monitorListen: "127.0.0.1:1",
      keepRunning: true,
      acceptDrillsFrom: "peers",
    };
    expect(parse(all)).toEqual(all);
  });

  for (const [want, value] of [
    ['an object with "listen"', []],
    ['"listen": want "ADDRESS:PORT"', { leafListen: "1.2.3.4:1" }],
    ['"listen": want "ADDRESS:PORT"', { ...LISTEN, listen: "host:4222" }],
    ['"leafListen": want "ADDRESS:PORT"', { ...LISTEN, leafListen: "1.2.3.4:99999" }],
    ['"mode": want "embedded" or "beside"', { ...LISTEN, mode: "x" }],
    ['"directory": want an absolute path', { ...LISTEN, mode: "beside" }],
    ['"directory": want an absolute path', { ...LISTEN, directory: "here" }],
    ['"keepRunning": want true or false', { ...LISTEN, keepRunning: "yes" }],
    ['"acceptDrillsFrom": want "own" or "peers"', { ...LISTEN, acceptDrillsFrom: "all" }],
    ['"port": want only mode', { ...LISTEN, port: 1 }],
  ] as const) {
    test(`wants ${want}, not ${JSON.stringify(value)}`, () => {
      expect(() => parse(value)).toThrow(want.replace(/^"/, '"operations.'));
    });
  }
});

describe("splitPlace()", () => {
  test("takes addresses of both families and nothing else", () => {
    expect(splitPlace("1.2.3.4:5")).toEqual({ address: "1.2.3.4", port: 5 });
    expect(splitPlace("[::1]:65535")).toEqual({ address: "::1", port: 65_535 });
    for (const text of ["a:1", "1.2.3.4", "1.2.3.4:0", ":1"]) {
      expect(splitPlace(text)).toBeUndefined();
    }
  });
});
