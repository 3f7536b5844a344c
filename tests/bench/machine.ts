// Names the machine that a benchmark ran on: figures without it mean nothing.
import { spawnSync } from "node:child_process";
import { cpus, release, totalmem } from "node:os";

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  readonly etcd: string;
  readonly clang: string;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.versions.node,
    etcd: versionOf("etcd", /etcd Version: (\S+)/),
    clang: versionOf("clang", /clang version (\S+)/),
  };
}

export function formatMachine(machine: Machine): string {
  const { cpu, cores, memoryGib, kernel, node, etcd, clang } = machine;
  return `${cpu}, ${cores} cores, ${memoryGib} GiB, Linux ${kernel}, Node ${node}, etcd ${etcd}, clang ${clang}`;
}

function versionOf(program: string, pattern: RegExp): string {
  const { stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
  return pattern.exec(stdout ?? "")?.[1] ?? "unknown";
}
