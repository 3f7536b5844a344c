import { describe, expect, test } from "@jest/globals";
import { constants } from "node:os";
import { checkResult, ENOTSUPP, errorFromResult, isErrno } from "../../../bpf/errno.ts";
import { messageFromError } from "../../../mesh/core/errors.ts";

const { EPERM, ENOENT, E2BIG, EINVAL, ENOSPC, EBUSY } = constants.errno;

describe("errorFromResult()", () => {
  for (const [errno, code] of [
    [EPERM, "permission_denied"],
    [ENOENT, "not_found"],
    [E2BIG, "resource_exhausted"],
    [ENOSPC, "resource_exhausted"],
    [EBUSY, "unavailable"],
    [ENOTSUPP, "unsupported"],
    [EINVAL, "internal"],
  ] as const) {
    test(`makes ${code} of ${errno}, whatever its sign`, () => {
      expect(errorFromResult("Cannot load it", -errno).code).toBe(code);
      expect(errorFromResult("Cannot load it", errno).code).toBe(code);
    });
  }

  test("names the error number, and hints at root where permission is missing", () => {
    const error = errorFromResult("Cannot load it", -EPERM);
    expect(error.message).toBe("Cannot load it: EPERM");
    expect(error.hint).toContain("root");
    expect(errorFromResult("Cannot load it", -ENOTSUPP).message).toBe("Cannot load it: ENOTSUPP");
  });

  test("carries the end of the verifier's log", () => {
    const log = Array.from({ length: 50 }, (_, i) => `line ${i}\n`).join("");
    const message = messageFromError(errorFromResult("Cannot load it", -EINVAL, log));
    expect(message).toContain("line 49");
    expect(message).not.toContain("line 29\n");
  });
});

describe("checkResult()", () => {
  test("returns what is no error and throws what is one", () => {
    expect(checkResult("Cannot open it", 7)).toBe(7);
    expect(() => checkResult("Cannot open it", -EINVAL)).toThrow("Cannot open it: EINVAL");
  });
});

test("isErrno() compares negated error numbers", () => {
  expect(isErrno(-ENOENT, "ENOENT")).toBe(true);
  expect(isErrno(ENOENT, "ENOENT")).toBe(false);
  expect(isErrno(0, "ENOENT")).toBe(false);
});
