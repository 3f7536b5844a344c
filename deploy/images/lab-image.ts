// The small image of the lab: a static busybox under the names of all its programs. It is the
// sandbox of every pod and what runs in pods that tests make. Written by this code alone: a layer,
// a configuration and a manifest, in the form that `docker save` writes and containerd imports.
import { createHash } from "node:crypto";
import { MeshError } from "../../mesh/core/errors.ts";
import { encodeTar, type TarEntry } from "./tar.ts";

export interface Busybox {
  /** The program itself. */
  readonly content: Uint8Array;
  /** What `busybox --list` prints: one name a line. */
  readonly list: string;
  /** As Node names it ("x64"). */
  readonly arch: string;
}

export interface LabImage {
  readonly name: string;
  readonly hash: string;
  /** The whole archive. */
  readonly archive: Buffer;
}

const REPOSITORY = "localhost/tombolo-lab";
const PATH = "/bin";
const HASH_DIGITS = 16;
/** Waits for ever, and ends at once when asked to: the sandbox's only task. */
const WAIT = 'trap "exit 0" TERM INT; while :; do sleep 2147483647 & wait $!; done';
const ARCHITECTURE: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };

export function makeLabImage(busybox: Busybox): LabImage {
  const layer = encodeTar(layerEntries(busybox));
  const layerDigest = sha256(layer);
  const config = Buffer.from(JSON.stringify(imageConfig(layerDigest, busybox.arch)));
  const hash = sha256(config).slice(0, HASH_DIGITS);
  const name = `${REPOSITORY}:${hash}`;
  const files = { config: `${sha256(config)}.json`, layer: `${layerDigest}/layer.tar` };
  const manifest = [{ Config: files.config, RepoTags: [name], Layers: [files.layer] }];
  const file = (path: string, content: Uint8Array): TarEntry => ({
    kind: "file",
    path,
    mode: 0o644,
    content,
  });
  const archive = encodeTar([
    file("manifest.json", Buffer.from(JSON.stringify(manifest))),
    file(files.config, config),
    { kind: "directory", path: layerDigest, mode: 0o755 },
    file(files.layer, layer),
  ]);
  return { name, hash, archive };
}

function layerEntries({ content, list }: Busybox): TarEntry[] {
  const programs = list.split("\n").filter((name) => name !== "" && name !== "busybox");
  if (!programs.includes("sh")) {
    throw new MeshError("unsupported", "Cannot make the lab's image: this busybox has no shell", {
      hint: "want Debian's package busybox-static",
    });
  }
  const directory = (path: string, mode = 0o755): TarEntry => ({ kind: "directory", path, mode });
  const text = (path: string, lines: string): TarEntry => ({
    kind: "file",
    path,
    mode: 0o644,
    content: Buffer.from(`${lines}\n`),
  });
  return [
    ...["bin", "dev", "etc", "proc", "root", "run", "sys", "var"].map((path) => directory(path)),
    directory("tmp", 0o1777),
    text("etc/passwd", "root:x:0:0:root:/root:/bin/sh"),
    text("etc/group", "root:x:0:"),
    { kind: "file", path: "bin/busybox", mode: 0o755, content },
    ...programs
      .sort()
      .map((name): TarEntry => ({ kind: "link", path: `bin/${name}`, target: "busybox" })),
  ];
}

function imageConfig(layerDigest: string, arch: string): unknown {
  const architecture = ARCHITECTURE[arch];
  if (architecture === undefined) {
    throw new MeshError("unsupported", `Cannot make the lab's image: "${arch}" is not supported`);
  }
  return {
    architecture,
    os: "linux",
    config: { Env: [`PATH=${PATH}`], Cmd: ["/bin/sh", "-c", WAIT], WorkingDir: "/" },
    rootfs: { type: "layers", diff_ids: [`sha256:${layerDigest}`] },
    history: [{ created_by: "Tombolo, deploy/images/lab-image.ts" }],
  };
}

function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
