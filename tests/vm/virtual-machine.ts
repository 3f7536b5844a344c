// A virtual machine with Debian 12's own kernel, for what this machine's kernel cannot show: the
// 6.1 verifier, and devices that it lacks. Software emulation, no disk: the host's root is there
// read-only over 9p under a temporary overlay, so every installed program runs inside as it is.
//
//   qemu ── vmlinuz-6.1 + initramfs (busybox, virtio and 9p modules)
//             └─ / = overlay(tmpfs over the host's root by 9p) ── sh SCRIPT
import { readdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commandOutput, runCommand } from "../../mesh/core/child-process.ts";
import { MeshError } from "../../mesh/core/errors.ts";

/** In the order in which they depend on each other. */
const MODULES = [
  "virtio_ring",
  "virtio",
  "virtio_pci_legacy_dev",
  "virtio_pci_modern_dev",
  "virtio_pci",
  "netfs",
  "fscache",
  "9pnet",
  "9pnet_virtio",
  "9p",
  "overlay",
] as const;

/** Stands before what the script prints, so that the firmware's greetings are told apart. */
const BEGIN = "TOMBOLO-VM-BEGIN";
const END = "TOMBOLO-VM-END";
/** Node and the programs under test fit; the machine itself needs some 100 MiB. */
const MEMORY_MIB = 2048;

/**
 * Node takes the types out of our sources by WebAssembly, which V8 compiles again, on other
 * threads, while it runs. Emulated cores may still run the old code after it was freed: Node died
 * of that in one of ten starts ("Check failed: it->second.Size() > offset" below
 * WasmTriggerTierUp, or a segmentation fault in code that is all zeros). One compiler is enough.
 */
const ONE_COMPILER = [
  `import { setFlagsFromString } from "node:v8";`,
  `for (const name of ["tier-up", "dynamic-tiering"]) setFlagsFromString("--no-wasm-" + name);`,
].join("");
const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(ONE_COMPILER)}`;

export interface VirtualMachineResult {
  readonly kernel: string;
  /** Exit status of the script. */
  readonly status: number;
  readonly output: string;
}

/** The newest installed kernel of Debian 12's series, or undefined. */
export async function findKernel(): Promise<string | undefined> {
  const files = await readdir("/boot");
  const versions = files.flatMap((file) => /^vmlinuz-(6\.1\.0-\d+-amd64)$/.exec(file)?.[1] ?? []);
  const build = (version: string): number => Number(/-(\d+)-/.exec(version)?.[1]);
  return versions.sort((a, b) => build(a) - build(b)).at(-1);
}

/** Boots, runs the shell script as root, powers off. The signal bounds the whole of it. */
export async function runInVirtualMachine(
  script: string,
  signal: AbortSignal,
): Promise<VirtualMachineResult> {
  const kernel = await findKernel();
  if (kernel === undefined) {
    throw new MeshError("not_found", "Cannot find Debian 12's kernel in /boot", {
      hint: "apt-get install linux-image-amd64",
    });
  }
  const directory = await mkdtemp(join(tmpdir(), "tombolo-vm-"));
  try {
    await writeFile(join(directory, "script.sh"), script);
    const initramfs = await buildInitramfs({ directory, kernel }, signal);
    const run = await runCommand({ argv: machineCommand({ kernel, initramfs }) }, signal);
    return parseOutput(kernel, run.stdout);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function machineCommand(parts: { kernel: string; initramfs: string }): [string, ...string[]] {
  const options = [
    `-accel tcg,thread=multi -cpu max -smp 2 -m ${MEMORY_MIB}`,
    "-display none -monitor none -serial stdio -no-reboot -nic none",
    `-kernel /boot/vmlinuz-${parts.kernel} -initrd ${parts.initramfs}`,
    "-virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap",
  ];
  const words = options.flatMap((line) => line.split(" "));
  return ["qemu-system-x86_64", ...words, "-append", "console=ttyS0 quiet panic=-1"];
}

async function buildInitramfs(
  options: { directory: string; kernel: string },
  signal: AbortSignal,
): Promise<string> {
  const { directory, kernel } = options;
  const initramfs = join(directory, "initramfs.gz");
  await writeFile(join(directory, "init"), initScript(join(directory, "script.sh")));
  const build = [
    "set -eu",
    `cd '${directory}'`,
    "mkdir -p root/bin root/lib root/proc root/sys root/dev root/host root/upper root/mnt",
    "cp /bin/busybox root/bin/",
    "mv init root/init",
    "chmod 755 root/init",
    ...MODULES.map(
      (module) =>
        `cp "$(find /lib/modules/${kernel} -name '${module}.ko' | head -n 1)" root/lib/${module}.ko`,
    ),
    `(cd root && find . | cpio --quiet -o -H newc) | gzip -1 > '${initramfs}'`,
  ];
  await commandOutput({ argv: ["sh", "-c", build.join("\n")] }, signal);
  return initramfs;
}

function initScript(scriptPath: string): string {
  return `#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in ${MODULES.join(" ")}; do insmod /lib/$module.ko; done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose host /host
mount -t tmpfs tmpfs /upper
mkdir /upper/changes /upper/work
mount -t overlay -o lowerdir=/host,upperdir=/upper/changes,workdir=/upper/work overlay /mnt
mount -t proc proc /mnt/proc
mount -t sysfs sysfs /mnt/sys
mount -t devtmpfs devtmpfs /mnt/dev
mount -t bpf bpf /mnt/sys/fs/bpf
mount -t tmpfs tmpfs /mnt/run
echo ${BEGIN}
export NODE_OPTIONS='${NODE_OPTIONS}'
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin chroot /mnt /bin/sh '${scriptPath}'
echo "${END} $?"
poweroff -f
`;
}

function parseOutput(kernel: string, console: string): VirtualMachineResult {
  const text = console.replaceAll("\r", "");
  const begin = text.indexOf(`${BEGIN}\n`);
  const end = new RegExp(`${END} (\\d+)`).exec(text);
  if (begin < 0 || end === null) {
    throw new MeshError("internal", `Cannot run in the virtual machine: ${text.slice(-2000)}`);
  }
  const output = text.slice(begin + BEGIN.length + 1, end.index);
  return { kernel, status: Number(end[1]), output };
}
