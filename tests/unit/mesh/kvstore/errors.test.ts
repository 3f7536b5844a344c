// What etcd and gRPC say, in the project's words.
import { describe, expect, test } from "@jest/globals";
import { MeshError, type ErrorCode } from "../../../../mesh/core/errors.ts";
import {
  meshErrorFromCancelReason,
  meshErrorFromGrpc,
  wantsToBeAskedAgain,
} from "../../../../mesh/kvstore/errors.ts";

function grpcError(code: number, details: string): Error {
  return Object.assign(new Error(`${code} STATUS: ${details}`), { code, details });
}

describe("meshErrorFromGrpc()", () => {
  const cases: readonly [number, string, ErrorCode][] = [
    [11, "etcdserver: mvcc: required revision has been compacted", "compacted"],
    [11, "etcdserver: mvcc: required revision is a future revision", "cluster_changed"],
    [5, "etcdserver: requested lease not found", "not_found"],
    [9, "etcdserver: user name already exists", "already_exists"],
    [3, "etcdserver: user name is empty", "unauthenticated"],
    [7, "etcdserver: permission denied", "permission_denied"],
    [8, "etcdserver: mvcc: database space exceeded", "resource_exhausted"],
    [3, "etcdserver: request is too large", "resource_exhausted"],
    [8, "Received message larger than max (5 vs 4)", "resource_exhausted"],
    [3, "etcdserver: revision of auth store is old", "unavailable"],
    [14, "No connection established", "unavailable"],
    [13, "Received RST_STREAM with code 2", "unavailable"],
    [4, "Deadline exceeded", "deadline_exceeded"],
    [99, "something new", "unavailable"],
  ];
  for (const [status, details, code] of cases)
    test(`takes status ${status} "${details}" for ${code}`, () => {
      const cause = grpcError(status, details);
      const error = meshErrorFromGrpc(cause, 'read "a"');
      expect(error.code).toBe(code);
      expect(error.message).toBe(`Cannot read "a": ${details}`);
      expect(error.cause).toBe(cause);
    });

  test("leaves what is translated already as it is", () => {
    const error = new MeshError("conflict", "Cannot go on: no");
    expect(meshErrorFromGrpc(error, "go on")).toBe(error);
  });

  test("takes anything that is no gRPC error for internal", () => {
    expect(meshErrorFromGrpc("odd", "go on").code).toBe("internal");
    expect(meshErrorFromGrpc(new TypeError("bug"), "go on").code).toBe("internal");
  });
});

describe("meshErrorFromCancelReason()", () => {
  for (const [reason, code] of [
    [
      "rpc error: code = PermissionDenied desc = etcdserver: permission denied",
      "permission_denied",
    ],
    ["etcdserver: no leader", "unavailable"],
    ["", "unavailable"],
  ] as const)
    test(`takes "${reason}" for ${code}`, () => {
      expect(meshErrorFromCancelReason(reason, 'watch "a"').code).toBe(code);
    });
});

describe("wantsToBeAskedAgain()", () => {
  test("is true for a request that met a change of users, and for nothing else", () => {
    const old = grpcError(3, "etcdserver: revision of auth store is old");
    expect(wantsToBeAskedAgain(meshErrorFromGrpc(old, "put"))).toBe(true);
    expect(wantsToBeAskedAgain(meshErrorFromGrpc(grpcError(14, "gone"), "put"))).toBe(false);
    expect(wantsToBeAskedAgain(old)).toBe(false);
  });
});
