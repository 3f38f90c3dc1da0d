/** A bootable OS image as small as one can be, with systemd's real boot loader and stub. */
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type Compression,
  encodeImageConfig,
  encodeManifest,
  layerMediaType,
  MEDIA_TYPE,
  toBlobDigest,
} from "../src/formats/oci/index.ts";
import { encodeTarEntry, TAR_END, type TarEntry, type TarMetadata, tarPadding } from "../src/formats/tar/index.ts";
import { byteString } from "../src/lib/bytes/byte-string.ts";
import { openImageWriter } from "../src/model/image/image-writer.ts";
import { compress } from "./small-image.ts";
import { stubPath } from "./tools/ukify.ts";

export const KERNEL_VERSION = "6.12.0-test";

/** Content by path: `null` removes an entry of the default, a path that ends in a slash is a directory. */
export type OsFiles = Readonly<Record<string, string | Uint8Array | null>>;

export interface SmallOs {
  /** Changes to the default files, all in the lower layer. */
  readonly files?: OsFiles;
  /** More layers on top, each one with these files. */
  readonly layers?: readonly OsFiles[];
  /** Layers above these, as tars. */
  readonly tars?: readonly Uint8Array[];
  readonly compression?: Compression;
  readonly architecture?: string;
  readonly family?: "oci" | "docker";
  /** Of every entry, in nanoseconds. */
  readonly mtimeNsec?: number;
}

const MODULES = `usr/lib/modules/${KERNEL_VERSION}`;

async function defaultFiles(architecture: string): Promise<Record<string, string | Uint8Array | null>> {
  const name = architecture === "arm64" ? "aa64" : "x64";
  const efi = dirname(await stubPath(`262-${name}`, "linux"));
  return {
    "boot/": "",
    "etc/": "",
    "etc/hostname": "small\n",
    "ostree/": "",
    "run/": "",
    "run/left-over": "is not in the digest",
    "sbin/": "",
    "sbin/init": "#!/bin/sh\n",
    "sysroot/": "",
    "usr/": "",
    "usr/bin/": "",
    "usr/bin/hello": "#!/bin/sh\necho hello from a file of more than sixty-four bytes, which is external\n",
    "usr/lib/": "",
    "usr/lib/bootc/": "",
    "usr/lib/bootc/kargs.d/": "",
    "usr/lib/bootc/kargs.d/10-base.toml": 'kargs = ["rw", "quiet"]\n',
    "usr/lib/bootc/kargs.d/20-arm.toml": 'kargs = ["earlycon"]\nmatch-architectures = ["aarch64"]\n',
    "usr/lib/modules/": "",
    [`${MODULES}/`]: "",
    [`${MODULES}/initramfs.img`]: "an initramfs\n".repeat(40),
    [`${MODULES}/modules.dep`]: "",
    [`${MODULES}/vmlinuz`]: "a kernel\n".repeat(60),
    "usr/lib/os-release": 'ID=small\nVERSION_ID=1\nPRETTY_NAME="Small OS 1"\n',
    "usr/lib/ostree/": "",
    "usr/lib/ostree/prepare-root.conf": "[composefs]\nenabled = true\n",
    "usr/lib/systemd/": "",
    "usr/lib/systemd/boot/": "",
    "usr/lib/systemd/boot/efi/": "",
    [`usr/lib/systemd/boot/efi/linux${name}.efi.stub`]: await readFile(join(efi, `linux${name}.efi.stub`)),
    [`usr/lib/systemd/boot/efi/systemd-boot${name}.efi`]: await readFile(join(efi, `systemd-boot${name}.efi`)),
  };
}

/** Writes the image where `reference` says. */
export async function writeSmallOs(reference: string, os: SmallOs = {}): Promise<void> {
  const { architecture = "amd64", compression = "gzip", family = "oci", layers = [] } = os;
  const tars = [{ ...(await defaultFiles(architecture)), ...os.files }, ...layers].map((files) =>
    tarOf(files, os.mtimeNsec ?? 0),
  );
  tars.push(...(os.tars ?? []));
  const mediaType = family === "oci" ? MEDIA_TYPE.manifest : MEDIA_TYPE.dockerManifest;
  await using writer = await openImageWriter(reference);
  const descriptors = [];
  for (const tar of tars) {
    descriptors.push(await writer.putBytes(compress(tar, compression), layerMediaType(mediaType, compression)));
  }
  const config = encodeImageConfig({
    architecture,
    os: "linux",
    created: "2026-01-02T03:04:05Z",
    config: { Labels: { "org.opencontainers.image.version": "1.2" } },
    rootfs: { type: "layers", diff_ids: tars.map((tar) => toBlobDigest(tar)) },
    history: tars.map((_, index) => ({ created_by: `COPY layer ${index}` })),
  });
  const configType = family === "oci" ? MEDIA_TYPE.config : MEDIA_TYPE.dockerConfig;
  const manifestBytes = encodeManifest({
    schemaVersion: 2,
    mediaType,
    config: await writer.putBytes(config, configType),
    layers: descriptors,
  });
  await writer.commit({ manifestBytes, mediaType });
}

/** What a test cares about of an entry; the rest is plain. */
export type PlainEntry = Partial<Omit<TarMetadata, "path">> & { readonly path: string } & (
    | { readonly kind: "file"; readonly content: string | Uint8Array }
    | { readonly kind: "hardlink" | "symlink"; readonly target: string }
    | { readonly kind: "directory" | "fifo" }
  );

/** A tar of these entries, in their order. */
export function tarLayer(entries: readonly PlainEntry[]): Uint8Array {
  const parts = entries.flatMap((entry) => {
    const content = entry.kind === "file" ? Buffer.from(entry.content) : Buffer.alloc(0);
    const mode = { directory: 0o755, symlink: 0o777, file: 0o644, hardlink: 0o644, fifo: 0o600 }[entry.kind];
    const plain = {
      mode,
      uid: 0,
      gid: 0,
      mtimeSec: 1_700_000_000n,
      mtimeNsec: 0,
      xattrs: new Map(),
      size: content.length,
    };
    const target = "target" in entry ? { target: byteString(entry.target) } : {};
    const header = { ...plain, ...entry, ...target, path: byteString(entry.path) } as TarEntry;
    return [encodeTarEntry(header), content, tarPadding(content.length)];
  });
  return Buffer.concat([...parts, TAR_END]);
}

function tarOf(files: OsFiles, mtimeNsec: number): Uint8Array {
  const parts = Object.entries(files).flatMap(([path, content]) => {
    if (content === null) return [];
    const directory = path.endsWith("/");
    const bytes = Buffer.from(content);
    const meta = { path: byteString(path), mode: directory ? 0o755 : 0o644, uid: 0, gid: 0, xattrs: new Map() };
    const time = { mtimeSec: 1_700_000_000n, mtimeNsec };
    const entry: TarEntry = directory
      ? { ...meta, ...time, kind: "directory" }
      : { ...meta, ...time, kind: "file", size: bytes.length };
    return [encodeTarEntry(entry), bytes, tarPadding(bytes.length)];
  });
  return Buffer.concat([...parts, TAR_END]);
}
