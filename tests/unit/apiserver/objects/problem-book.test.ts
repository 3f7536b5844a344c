import { beforeEach, describe, expect, test } from "@jest/globals";
import type { ObjectProblem } from "../../../../apiserver/objects/desired-files.ts";
import { createProblemBook, type ProblemBook } from "../../../../apiserver/objects/problem-book.ts";
import { createJsonLogger } from "../../../../mesh/core/logger.ts";

const SECRET = { metadata: { name: "a", namespace: "mesh" } };

let told: string[];
let logged: string[];
let book: ProblemBook;

beforeEach(() => {
  told = [];
  logged = [];
  const recorder = (kind: string) => ({
    setProblems: (object: { metadata: { name: string } }, messages: readonly string[]) =>
      void told.push(`${kind} ${object.metadata.name}: ${messages.join(", ")}`),
    forget: (key: string) => void told.push(`${kind} ${key} forgotten`),
  });
  book = createProblemBook({
    namespace: "mesh",
    recorders: { Secret: recorder("Secret"), ConfigMap: recorder("ConfigMap") },
    log: createJsonLogger({ write: (line) => void logged.push(line), nowMs: () => 0 }),
  });
});

const problem = (message: string, fields: Partial<ObjectProblem> = {}): ObjectProblem => ({
  kind: "Secret",
  name: "a",
  object: SECRET,
  message,
  ...fields,
});

describe("createProblemBook()", () => {
  test("shows what is wrong now, and where", () => {
    book.report([problem("no key"), problem("missing", { kind: "ConfigMap", object: undefined })]);
    expect(book.problems()).toEqual([
      {
        file: "",
        line: 0,
        column: 0,
        severity: "error",
        message: "no key",
        object: "Secret mesh/a",
      },
      expect.objectContaining({ message: "missing", object: "ConfigMap mesh/a" }),
    ]);
    book.report([]);
    expect(book.problems()).toEqual([]);
  });

  test("tells the object's owner; what is missing has none", () => {
    book.report([problem("no key"), problem("missing", { kind: "ConfigMap", object: undefined })]);
    expect(told).toEqual(["Secret a: no key"]);
  });

  test("forgets an object that is right again", () => {
    book.report([problem("no key")]);
    book.report([problem("no key")]);
    book.report([]);
    expect(told).toEqual(["Secret a: no key", "Secret a: no key", "Secret mesh/a forgotten"]);
  });

  test("logs each new thing once", () => {
    book.report([problem("no key")]);
    book.report([problem("no key")]);
    book.report([problem("no key"), problem("no label")]);
    expect(logged).toHaveLength(2);
  });
});
