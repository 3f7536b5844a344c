import { describe, expect, test } from "@jest/globals";
import { commonNamespace, enterNamespace } from "../../../../mesh/commands/enter-namespace.ts";

const options = { argv: ["status"], signal: new AbortController().signal };

describe("enterNamespace()", () => {
  test("goes on where no namespace is named, or the process is inside it", async () => {
    expect(await enterNamespace(undefined, options)).toBeUndefined();
    expect(await enterNamespace("/proc/self/ns/net", options)).toBeUndefined();
  });

  test("says which namespace is not there", async () => {
    await expect(enterNamespace("/run/netns/tombolo-cn-absent", options)).rejects.toMatchObject({
      code: "not_found",
      message: 'Cannot enter network namespace "/run/netns/tombolo-cn-absent": it is not there',
    });
  });
});

describe("commonNamespace()", () => {
  test("returns the one that all name", () => {
    const networkNamespace = "/run/netns/r";
    expect(commonNamespace([])).toBeUndefined();
    expect(commonNamespace([{ name: "a", networkNamespace: undefined }])).toBeUndefined();
    expect(
      commonNamespace([
        { name: "a", networkNamespace },
        { name: "b", networkNamespace },
      ]),
    ).toBe(networkNamespace);
  });

  test("refuses different ones", () => {
    expect(() =>
      commonNamespace([
        { name: "a", networkNamespace: "/run/netns/r" },
        { name: "b", networkNamespace: undefined },
      ]),
    ).toThrow('Cannot use contexts "a" and "b" together');
  });
});
