// A virtual machine without a disk that runs one shell script as its init, for what depends on
// the kernel. Software emulation: slow, and needs nothing of the machine but qemu and a kernel.
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";

export interface MachineRequest {
  /** Path of a kernel image. */
  readonly kernel: string;
  /** Runs as init with /bin/sh; the machine is switched off when it ends. */
  readonly script: string;
  /** Programs of this machine, taken along with their libraries. */
  readonly programs: readonly string[];
  /** Path inside → path here. */
  readonly files: ReadonlyMap<string, string>;
  readonly limitMs: number;
}

const QEMU = "/usr/bin/qemu-system-x86_64";
const MEMORY_MB = 768;

/** The kernel image of that version, or why there can be no machine with it. */
export function findKernel(version: string): { kernel: string } | { missing: string } {
  if (!existsSync(QEMU)) return { missing: "qemu-system-x86 is not installed" };
  const images = readdirSync("/boot").filter((name) => name.startsWith(`vmlinuz-${version}.`));
  const [image] = images.sort();
  if (image === undefined) return { missing: `there is no Linux ${version} in /boot` };
  return { kernel: join("/boot", image) };
}

/** Returns what the machine has written to its console. */
export async function runMachine(request: MachineRequest): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "tombolo-vm-"));
  try {
    const initrd = join(directory, "initrd");
    writeFileSync(initrd, buildInitrd(request));
    const { stdout } = await promisify(execFile)(
      QEMU,
      [
        ["-accel", "tcg", "-cpu", "max", "-m", String(MEMORY_MB), "-nographic", "-no-reboot"],
        ["-nic", "none", "-kernel", request.kernel, "-initrd", initrd],
        ["-append", "console=ttyS0 quiet panic=-1"],
      ].flat(),
      { timeout: request.limitMs, killSignal: "SIGKILL", encoding: "utf8" },
    );
    return stdout;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function buildInitrd({ script, programs, files }: MachineRequest): Buffer {
  const init = `#!/bin/sh\n/bin/mount -t proc proc /proc\n${script}\necho o > /proc/sysrq-trigger\nread forever\n`;
  const contents = new Map<string, Buffer>([["/init", Buffer.from(init)]]);
  const addProgram = (inside: string, path: string): void => {
    contents.set(inside, readFileSync(path));
    for (const library of librariesOf(path)) contents.set(library, readFileSync(library));
  };
  addProgram("/bin/sh", "/bin/dash");
  addProgram("/bin/mount", "/bin/mount");
  for (const path of programs) addProgram(`/bin/${basename(path)}`, path);
  for (const [inside, path] of files) contents.set(inside, readFileSync(path));
  return buildArchive(contents);
}

function librariesOf(program: string): string[] {
  const text = execFileSync("ldd", [program], { encoding: "utf8" });
  return [...text.matchAll(/(\/\S+) \(0x/g)].map(([, path = ""]) => path);
}

/** The kernel's initramfs format ("newc" of cpio): regular files, and the directories above. */
function buildArchive(contents: ReadonlyMap<string, Buffer>): Buffer {
  const directories = new Set(["/proc", "/sys", "/bpf"]);
  for (const path of contents.keys())
    for (let above = dirname(path); above !== "/"; above = dirname(above)) directories.add(above);
  const entries = [
    ...[...directories].sort().map((path) => archiveEntry(path, { mode: 0o040755 })),
    ...[...contents].map(([path, data]) => archiveEntry(path, { mode: 0o100755, data })),
    archiveEntry("/TRAILER!!!", { mode: 0 }),
  ];
  return Buffer.concat(entries);
}

function archiveEntry(path: string, { mode, data }: { mode: number; data?: Buffer }): Buffer {
  const name = `${path.slice(1)}\0`;
  const links = 1;
  const fields = [0, mode, 0, 0, links, 0, data?.length ?? 0, 0, 0, 0, 0, name.length, 0];
  const digits = fields.map((field) => field.toString(16).padStart(8, "0")).join("");
  return Buffer.concat([padded(Buffer.from(`070701${digits}${name}`)), padded(data)]);
}

/** Filled up to a multiple of four bytes. */
function padded(bytes: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}
