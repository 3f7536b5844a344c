// The structure tests are only as good as the reader of sources that they stand on.
import { describe, expect, test } from "@jest/globals";
import { codeOnly, importsOf, withoutComments } from "../../sources.ts";

describe("importsOf()", () => {
  const cases: readonly [name: string, text: string, want: readonly string[]][] = [
    ["a default import", 'import koffi from "koffi";', ["koffi"]],
    ["a bare import", 'import "./polyfill.ts";', ["./polyfill.ts"]],
    ["names over several lines", 'import {\n  a,\n  b,\n} from "./a.ts";\n', ["./a.ts"]],
    ["a re-export", 'export { a } from "./a.ts";', ["./a.ts"]],
    ["a dynamic import", 'const a = await import("./a.ts");', ["./a.ts"]],
    ["two in a row", 'import a from "a";\nimport b from "b";', ["a", "b"]],
    ["nothing in a comment", '// import a from "a";\n/* import("b") */', []],
    ["nothing in a string", 'const a = \'import "b"\';\nconst c = `import("d")`;', []],
    ["nothing in an export of a value", 'export const a = "b";', []],
  ];
  for (const [name, text, want] of cases) {
    test(`finds ${name}`, () => {
      const found = importsOf({ path: "x/y.ts", text });
      expect(found.map(({ specifier }) => specifier)).toEqual(want);
    });
  }

  test("resolves relative paths from the file's folder", () => {
    const [found] = importsOf({ path: "mesh/kvstore/keys.ts", text: 'import "../core/a.ts";' });
    expect(found?.path).toBe("mesh/core/a.ts");
  });

  test("knows imports of types", () => {
    const text = 'import type { A } from "./a.ts";\nimport { b } from "./b.ts";';
    expect(importsOf({ path: "x.ts", text }).map(({ typeOnly }) => typeOnly)).toEqual([
      true,
      false,
    ]);
  });
});

describe("withoutComments()", () => {
  test("keeps strings that look like comments, and every line in its place", () => {
    const text = 'const a = "http://x"; // b\n/* c\nd */ e();';
    expect(withoutComments(text)).toBe('const a = "http://x";     \n    \n     e();');
  });
});

describe("codeOnly()", () => {
  const cases: readonly [text: string, want: string][] = [
    ['f("Date.now()")', 'f("          ")'],
    ["f(`a ${b} c`)", "f(`        `)"],
    ["x = /Date.now/g;", "x = /         g;"],
    ["a / b / c", "a / b / c"],
  ];
  for (const [text, want] of cases) {
    test(`blanks what is no code in ${text}`, () => {
      expect(codeOnly(text)).toBe(want);
    });
  }
});
