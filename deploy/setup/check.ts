// What `npm run check` does, the gate before a commit: types, lint, format, generated code fresh,
// and every test that needs no privilege. Runs all steps, also after a failure, and says which
// failed.
import { spawnSync } from "node:child_process";
import { existsSync, globSync } from "node:fs";

interface Step {
  readonly name: string;
  readonly command: readonly string[];
  /** Why the step cannot run here; it counts as failed in CI only. */
  readonly missing?: string | undefined;
}

const bin = (tool: string): string => `node_modules/.bin/${tool}`;
const node = [process.execPath, "--disable-warning=ExperimentalWarning"];
const sourcesInC = globSync("bpf/{include,lib,prog}/**/*.{c,h}");
const hasTool = (tool: string): boolean =>
  spawnSync("sh", ["-c", `command -v ${tool}`], { stdio: "ignore" }).status === 0;
const without = (tool: string): string | undefined =>
  hasTool(tool) ? undefined : `${tool} is not installed`;

const steps: readonly Step[] = [
  { name: "types", command: [bin("tsc"), "-p", "."] },
  { name: "lint", command: [bin("oxlint"), "--type-aware", "."] },
  { name: "format", command: [bin("prettier"), "--check", "--log-level=warn", "."] },
  {
    name: "format of C",
    command: ["clang-format", "--dry-run", "--Werror", ...sourcesInC],
    missing: without("clang-format"),
  },
  {
    name: "generated code",
    command: [...node, "bpf/gen.ts", "--check"],
    missing: existsSync("build/bpf") ? without("bpftool") : "the eBPF programs are not built",
  },
  { name: "unit tests", command: [...node, "tests/run.ts", "unit"] },
];

const failed: string[] = [];
for (const { name, command, missing } of steps) {
  if (missing !== undefined) {
    process.stdout.write(`check: ${name}: SKIPPED: ${missing}\n`);
    if (process.env["CI"] === "true") failed.push(name);
    continue;
  }
  const startMs = performance.now();
  const [program = "", ...words] = command;
  const { status } = spawnSync(program, words, { stdio: ["ignore", "inherit", "inherit"] });
  const seconds = ((performance.now() - startMs) / 1_000).toFixed(1);
  process.stdout.write(`check: ${name}: ${status === 0 ? "ok" : "FAILED"} (${seconds} s)\n`);
  if (status !== 0) failed.push(name);
}
process.stdout.write(failed.length === 0 ? "check: ok\n" : `check: failed: ${failed.join(", ")}\n`);
process.exitCode = failed.length === 0 ? 0 : 1;
