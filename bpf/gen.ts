// `make -C bpf generate`: writes bpf/gen/ from the BTF of the built objects. With --check nothing
// is written and the exit status says whether bpf/gen/ is fresh.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parseBtf } from "./btf.ts";
import { generateFiles } from "./codegen.ts";

const SUFFIX = ".bpf.o";

const { values } = parseArgs({
  options: {
    bpftool: { type: "string", default: "bpftool" },
    objects: { type: "string", default: "build/bpf" },
    output: { type: "string", default: "bpf/gen" },
    check: { type: "boolean", default: false },
  },
});

const names = readdirSync(values.objects)
  .filter((file) => file.endsWith(SUFFIX))
  .sort();
const objects = names.map((file) => {
  const json = execFileSync(
    values.bpftool,
    ["-j", "btf", "dump", "file", join(values.objects, file)],
    { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 },
  );
  return [file.slice(0, -SUFFIX.length), parseBtf(json)] as const;
});
for (const [file, contents] of generateFiles(new Map(objects))) {
  const path = join(values.output, file);
  if (!values.check) {
    writeFileSync(path, contents);
  } else if (readFileSync(path, "utf8") !== contents) {
    process.stderr.write(`${path} is stale: run \`make -C bpf generate\`\n`);
    process.exitCode = 1;
  }
}
