// The rules of style that a machine can check, over every file that people write. Each exception
// stands in a list here with its reason; lists of exceptions only shrink.
import { describe, expect, test } from "@jest/globals";
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { COMMANDS } from "../../mesh/commands/registry.ts";
import { codeOnly, handWritten, readRepository, ROOT, type SourceFile } from "../sources.ts";
import { TESTED_ELSEWHERE } from "./mirror-exceptions.ts";

/** Where time, chance and the environment may be touched besides every main.ts. */
const SEAMS = new Map([
  ["mesh/core/clock.ts", "implements Clock"],
  ["mesh/core/backoff.ts", "implements the random source"],
]);
/** Programs that have no main.ts of that name; they own their process. Folders end with "/". */
const PROGRAMS = new Map([
  ["deploy/lab/workload/", "what runs inside the lab's pods: a client and servers to measure with"],
  ["deploy/start.ts", "the program of `npm start`"],
  ["deploy/setup/check.ts", "the program of `npm run check`"],
  ["tests/run.ts", "the program of `npm test`"],
]);
/** Tests that wait, and why that is no sleep. */
const WAITERS = new Map([
  ["tests/fakes/eventually.ts", "the polling that everything else uses"],
  ["tests/run.ts", "limits of the tiers"],
  ["tests/unit/mesh/core/clock.test.ts", "sleeping is what it tests"],
]);

/** Longer than 400 lines, and why; the list only shrinks. */
const LONG_FILES = new Map<string, string>([
  ["mesh/kvstore/session.ts", "the rules of what is believed stand together, with their reasons"],
  ["tests/unit/mesh/kvstore/session.test.ts", "its cases; they share one long setup"],
]);

const LINE_COLUMNS = 100;
const FILE_LINES = 400;

const files = readRepository();
const sources = handWritten(files);
const shipped = sources.filter(({ path }) => !path.startsWith("tests/"));
const tests = sources.filter(({ path }) => path.startsWith("tests/"));

describe("files", () => {
  test("are named after one thing", () => {
    const vague = /^(utils?|helpers?|common|misc|constants|types|index)\.(ts|mjs|c|h)$/;
    expect(pathsOf(files.filter(({ path }) => vague.test(basename(path))))).toEqual([]);
  });

  test("are no left-overs of editors, patches or runs", () => {
    const stray = /\.(orig|rej|bak|base|swp|tmp|log)$|~$|(^|\/)\.DS_Store$/;
    expect(pathsOf(files.filter(({ path }) => stray.test(path)))).toEqual([]);
  });

  test("have kebab-case names", () => {
    const odd = sources.filter(({ path }) => !/^[a-z0-9-]+(\.test)?\.ts$/.test(basename(path)));
    expect(pathsOf(odd)).toEqual([]);
  });

  test("begin with a comment that says what they are", () => {
    const bare = shipped.filter(({ text }) => !/^(#!.*\n)?\/[/*]/.test(text));
    const bareC = files.filter(
      ({ path, text }) => /^bpf\/.*\.[ch]$/.test(path) && !text.startsWith("/*"),
    );
    expect(pathsOf([...bare, ...bareC])).toEqual([]);
  });

  test(`have at most ${FILE_LINES} lines, or a reason in the list`, () => {
    const long = sources.filter(({ text }) => text.split("\n").length > FILE_LINES + 1);
    expect(pathsOf(long)).toEqual([...LONG_FILES.keys()].sort());
  });

  test(`have lines of at most ${LINE_COLUMNS} columns`, () => {
    const checked = files.filter(
      ({ path }) => /\.(ts|mjs|sh|[ch])$/.test(path) && !isGenerated(path),
    );
    expect(findLines(checked, isTooLong)).toEqual([]);
  });

  test("name no path of a build machine and no package registry", () => {
    // Put together here so that this file does not name them.
    const foreign = new RegExp(
      ["/" + "work/", "registry\\." + "npmjs", "deb\\." + "debian\\.org"].join("|"),
    );
    expect(findLines(files, (line) => foreign.test(line))).toEqual([]);
  });
});

describe("code", () => {
  test("takes time, chance and the environment as parameters", () => {
    const impure =
      /\b(Date\.now|setTimeout|setInterval|Math\.random|process\.env|performance\.now)\b|\bnew Date\(\)/;
    const checked = shipped.filter(({ path }) => !isProgram(path) && !SEAMS.has(path));
    expect(findLines(checked.map(codeOf), (line) => impure.test(line))).toEqual([]);
  });

  test("keeps no mutable state in modules", () => {
    const state =
      /^(export )?(let|var)\s|^(export )?const \w+(: [^=]+)? = (new (Map|Set|WeakMap|WeakSet|Array)(<.*>)?\(\)|\[\]|\{\});/;
    const modules = shipped.filter(({ path }) => !isProgram(path));
    expect(findLines(modules.map(codeOf), (line) => state.test(line))).toEqual([]);
  });

  test("passes no boolean by position", () => {
    const found = shipped.flatMap((file) =>
      booleanPositionals(codeOnly(file.text)).map((line) => `${file.path}:${line}`),
    );
    expect(found).toEqual([]);
  });

  test("swallows no error without saying why", () => {
    const found = sources.flatMap((file) =>
      silentCatches(file).map((line) => `${file.path}:${line}`),
    );
    expect(found).toEqual([]);
  });

  test("names an issue in every note of work to do", () => {
    const note = new RegExp(`\\b(${"TO" + "DO"}|${"FIX" + "ME"}|${"X" + "XX"})\\b(?!\\(#\\d+\\))`);
    const checked = files.filter(({ path }) => /\.(ts|mjs|sh|[ch]|md)$/.test(path));
    expect(findLines(checked, (line) => note.test(line))).toEqual([]);
  });
});

describe("tests", () => {
  test("wait for conditions, not for time", () => {
    const checked = tests.filter(
      ({ path }) => !WAITERS.has(path) && !path.startsWith("tests/bench/"),
    );
    // jest.setTimeout() sets a limit and waits for nothing.
    const sleep = /(?<!jest\.)\b(setTimeout|setInterval)\(|\bsleep\(\d/;
    expect(findLines(checked.map(codeOf), (line) => sleep.test(line))).toEqual([]);
  });

  test("mirror the source tree: a file with logic has a unit test of its name", () => {
    const untested = shipped.filter(
      ({ path, text }) =>
        hasLogic(text) && !TESTED_ELSEWHERE.has(path) && !existsSync(unitTestOf(path)),
    );
    expect(pathsOf(untested)).toEqual([]);
  });

  test("leave the list of exceptions when they have a unit test of their own", () => {
    const stale = [...TESTED_ELSEWHERE.keys()].filter((path) => existsSync(unitTestOf(path)));
    expect(stale).toEqual([]);
  });

  test("are named in the list of exceptions only for files and tests that exist", () => {
    const missing = [...TESTED_ELSEWHERE].flat().filter((path) => !existsSync(join(ROOT, path)));
    expect(missing).toEqual([]);
  });
});

describe("commands", () => {
  for (const { name, summary, usage } of COMMANDS) {
    test(`mesh ${name} says how to use it, with an example`, () => {
      expect(summary).toMatch(/^[a-z].*[^.]$/i);
      expect(usage).toMatch(new RegExp(`^Usage: mesh ${name}\\b`));
      expect(usage).toMatch(new RegExp(`Examples?:[^]*mesh ${name}`));
    });
  }
});

function pathsOf(found: readonly SourceFile[]): string[] {
  return found.map(({ path }) => path).sort();
}

function codeOf(file: SourceFile): SourceFile {
  return { path: file.path, text: codeOnly(file.text) };
}

/** What is said in a literal is not cut for the sake of its length; a tab is eight columns. */
function isTooLong(line: string): boolean {
  const code = line.replaceAll("\t", "        ").replace(/(["`']).*\1|\/\S.*\/[a-z]*|`.*$/, "");
  return code.length > LINE_COLUMNS && !/https?:/.test(line);
}

function isProgram(path: string): boolean {
  if (basename(path) === "main.ts") return true;
  return [...PROGRAMS.keys()].some((program) => path.startsWith(program));
}

function isGenerated(path: string): boolean {
  return path.startsWith("bpf/gen/");
}

/** "path:line" of every line for which the check is true. */
function findLines(searched: readonly SourceFile[], check: (line: string) => boolean): string[] {
  return searched.flatMap(({ path, text }) =>
    text.split("\n").flatMap((line, i) => (check(line) ? [`${path}:${i + 1}`] : [])),
  );
}

/** Line numbers of `name: boolean` among other parameters; in an object type it is welcome. */
function booleanPositionals(code: string): number[] {
  return [...code.matchAll(/\b\w+\??: boolean\b/g)].flatMap(({ index, 0: parameter }) => {
    const list = enclosingList(code, index);
    if (list === undefined || list.open !== "(") return [];
    const isAlone =
      list.before.trim() === "" && /^,?\s*\)/.test(code.slice(index + parameter.length));
    return isAlone ? [] : [lineOf(code, index)];
  });
}

/** The innermost bracket that is open at a position, and what stands between the two. */
function enclosingList(
  code: string,
  position: number,
): { readonly open: string; readonly before: string } | undefined {
  let depth = 0;
  for (let i = position - 1; i >= 0; i -= 1) {
    const char = code[i] ?? "";
    if (")]}".includes(char)) depth += 1;
    else if ("([{".includes(char)) {
      if (depth === 0) return { open: char, before: code.slice(i + 1, position) };
      depth -= 1;
    }
  }
  return undefined;
}

/** Catches that do nothing and have no comment beside, above or below. */
function silentCatches({ text }: SourceFile): number[] {
  const lines = text.split("\n");
  const silent = /catch\s*(\(\w*(: unknown)?\)\s*)?\{\s*\}|\.catch\(\(\w*\) => \{\s*\}\)/g;
  return [...text.matchAll(silent)].flatMap(({ index }) => {
    const line = lineOf(text, index);
    const said = lines
      .slice(Math.max(0, line - 3), line + 1)
      .some((near) => /\/\/|\*\//.test(near));
    return said ? [] : [line];
  });
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}

/** Whether there is anything in a file that could be wrong at run time. */
function hasLogic(text: string): boolean {
  const values = codeOnly(text)
    .replace(/^(export )?(interface|type) .*[;}]$/gm, "")
    .replace(/^(export )?(interface|type) [^]*?^\}?;?$/gm, "");
  return /\bfunction\b|=>|\bclass\s/.test(values);
}

function unitTestOf(path: string): string {
  return join(ROOT, `tests/unit/${path.replace(/\.ts$/, ".test.ts")}`);
}
