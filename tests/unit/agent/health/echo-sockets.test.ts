import { describe, expect, test } from "@jest/globals";
import { MeshError } from "../../../../mesh/core/errors.ts";
import { silentLogger } from "../../../../mesh/core/logger.ts";
import { createEchoSockets } from "../../../../agent/health/echo-sockets.ts";

function start() {
  const known = { source: "10.1.1.1" as string | undefined, fails: false };
  const open: string[] = [];
  const sockets = createEchoSockets({
    directory: { ownAddress: (family) => (family === 4 ? known.source : undefined) },
    openSocket(_, source) {
      if (known.fails) throw new MeshError("permission_denied", "Cannot open ICMP socket");
      open.push(source);
      return { send: () => {}, close: () => void open.splice(open.indexOf(source), 1) };
    },
    log: silentLogger,
  });
  return { known, open, sockets };
}

describe("createEchoSockets()", () => {
  test("opens one a family that the node has an address of, and again when that changes", () => {
    const { known, open, sockets } = start();
    expect(sockets.of(6, 0)).toBeUndefined();
    expect(sockets.of(4, 0)).toBe(sockets.of(4, 1));
    known.source = "10.1.9.1";
    sockets.of(4, 2);
    expect(open).toEqual(["10.1.9.1"]);
    sockets.close();
    expect(open).toEqual([]);
  });

  test("says why it cannot, and tries again after a while", () => {
    const { known, sockets } = start();
    known.fails = true;
    expect(sockets.of(4, 0)).toBeUndefined();
    expect(sockets.problem).toBe("Cannot open ICMP socket");
    known.fails = false;
    expect(sockets.of(4, 49)).toBeUndefined();
    expect(sockets.of(4, 50)).toBeDefined();
    expect(sockets.problem).toBe("");
  });
});
