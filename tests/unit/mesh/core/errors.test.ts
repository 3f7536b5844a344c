import { describe, expect, test } from "@jest/globals";
import { isMeshError, MeshError, messageFromError } from "../../../../mesh/core/errors.ts";

describe("MeshError", () => {
  test("keeps code, hint and cause", () => {
    const cause = new Error("ENOENT");
    const error = new MeshError("not_found", "Cannot find it", { cause, hint: "look again" });
    expect(error).toMatchObject({
      name: "MeshError",
      code: "not_found",
      message: "Cannot find it",
      hint: "look again",
      cause,
    });
    expect(new MeshError("internal", "x").hint).toBeUndefined();
  });
});

describe("isMeshError()", () => {
  for (const [what, error, code, wanted] of [
    ["a MeshError", new MeshError("aborted", "x"), undefined, true],
    ["its code", new MeshError("aborted", "x"), "aborted", true],
    ["another code", new MeshError("aborted", "x"), "internal", false],
    ["another error", new Error("x"), undefined, false],
    ["no error", "x", undefined, false],
  ] as const) {
    test(`isMeshError() of ${what} is ${wanted}`, () => {
      expect(isMeshError(error, code)).toBe(wanted);
    });
  }
});

describe("messageFromError()", () => {
  test("puts the messages of the causes behind it", () => {
    const error = new MeshError("unavailable", "Cannot connect", {
      cause: new Error("handshake failed", { cause: "certificate expired" }),
    });
    expect(messageFromError(error)).toBe("Cannot connect: handshake failed: certificate expired");
  });

  test("shows what is no error at all", () => {
    expect(messageFromError(undefined)).toBe("undefined");
  });
});
