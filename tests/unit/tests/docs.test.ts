// Pages under docs/ name what exists in the code, no more and no less.
import { describe, expect, test } from "@jest/globals";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SERVICE_ANNOTATIONS } from "../../../apiserver/source/service-annotations.ts";
import { DropReason } from "../../../bpf/gen/drop.ts";
import { readRepository, ROOT } from "../../sources.ts";

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

function names(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map((match) => match[1] ?? ""))].sort();
}

describe("docs/metrics.md", () => {
  const page = read("docs/metrics.md");

  test("lists the apiserver's metrics", () => {
    const code = read("apiserver/metrics.ts");
    const inCode = names(code, /(?:\bname: |peerKindMetric\(\s*)"([a-z_]+)"/g);
    expect(names(page, /^\| `tombolo_apiserver_([a-z_]+)`/gm)).toEqual(inCode);
  });

  test("lists the agent's metrics", () => {
    const code = read("agent/status/metrics.ts") + read("agent/status/policy-metrics.ts");
    const inCode = names(code, /\b(?:gauge|counter)\(\s*"([a-z_]+)"/g);
    expect(names(page, /^\| `tombolo_agent_([a-z_]+)`/gm)).toEqual(inCode);
  });
});

describe("docs/annotations.md", () => {
  test("names every annotation, the older names too", () => {
    const page = read("docs/annotations.md");
    for (const name of Object.values(SERVICE_ANNOTATIONS).flat())
      expect(page).toContain(`\`${name}\``);
  });
});

describe("docs/settings.md", () => {
  test("lists the fields of both configuration files", () => {
    const page = read("docs/settings.md");
    const apiserver = names(read("apiserver/config.ts"), /wrong\("(?!etcd")([a-zA-Z.]+)"/g);
    const agent = names(
      read("agent/config.ts"),
      /fields\.(?:get|text|path|endpoints|listen)\("(\w+)"/g,
    );
    for (const field of [...apiserver, ...agent]) expect(page).toContain(`\`${field}\``);
  });
});

describe("docs/troubleshooting.md", () => {
  test("explains every drop reason", () => {
    const page = read("docs/troubleshooting.md");
    for (const name of Object.keys(DropReason).filter((key) => key !== "none")) {
      const shown = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      expect(page).toContain(`| \`${shown}\` |`);
    }
  });

  test("explains every finding of preflight", () => {
    const page = read("docs/troubleshooting.md");
    const rules = names(read("mesh/connect/preflight.ts"), /^ {4}?"([a-z-]+)",$/gm);
    for (const rule of rules) expect(page).toContain(`\`${rule}\``);
  });
});

describe("README.md", () => {
  test("shows every benchmark with its goal, and names the machine", () => {
    const [, benchmarks = ""] = read("README.md").split(/^## Benchmarks$/m);
    const [text = ""] = benchmarks.split(/^## /m);
    expect(text).toMatch(/\b\d+ cores\b[^|]*Linux \d[^|]*Node \d/);
    const rows = text.split("\n").filter((line) => /^\| .* \|$/.test(line) && /\d/.test(line));
    for (const words of ["etcdctl make-mirror", "bare paged read", "bare batched", "connect()"]) {
      expect(rows.some((row) => row.includes(words))).toBe(true);
    }
    for (const table of text.split("\n\n").filter((part) => part.startsWith("|"))) {
      const widths = table
        .split("\n")
        .filter((row) => row !== "")
        .map((row) => row.split("|").length);
      expect(new Set(widths).size).toBe(1);
    }
  });
});

describe("tests/README.md", () => {
  test("names tests that exist", () => {
    const tables = read("tests/README.md").split("## What proves what")[1] ?? "";
    const places = names(tables, /`((?:unit|bpf|integration|e2e|browser)\/[^`]+)`/g).flatMap(
      expandBraces,
    );
    expect(places.length).toBeGreaterThan(40);
    const missing = places.filter((place) => {
      const path = place.endsWith("/*") ? place.slice(0, -2) : `${place}.test.ts`;
      return !existsSync(join(ROOT, "tests", path));
    });
    expect(missing).toEqual([]);
  });
});

/** "a/{b,c}" is "a/b" and "a/c". */
function expandBraces(text: string): string[] {
  const [, before = "", choices, after = ""] = /^(.*)\{(.*)\}(.*)$/.exec(text) ?? [];
  return choices?.split(",").map((choice) => before + choice + after) ?? [text];
}

describe("links between pages", () => {
  const pages = readRepository().filter(({ path }) => path.endsWith(".md"));
  for (const { path, text } of pages) {
    test(`of ${path} lead to files that exist`, () => {
      const targets = names(text, /\]\(([^)#:]+?)(?:#[^)]*)?\)/g);
      const broken = targets.filter((target) => !existsSync(join(ROOT, dirname(path), target)));
      expect(broken).toEqual([]);
    });
  }
});
