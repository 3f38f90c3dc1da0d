/** A real Debian with Debian's SELinux policy in it: the labels in its digest are those libselinux would give. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requireDebianImage } from "../../scripts/debian-image.ts";
import { computeDigests } from "../../src/actions/digest/compute-digests.ts";
import { type DumpEntry, parseDumpfile } from "../../src/formats/dumpfile/index.ts";
import { encodeImageConfig, encodeManifest, layerMediaType, toBlobDigest } from "../../src/formats/oci/index.ts";
import { encodeTarEntry, TAR_END, tarPadding } from "../../src/formats/tar/index.ts";
import { byteString } from "../../src/lib/bytes/byte-string.ts";
import { openImageWriter } from "../../src/model/image/image-writer.ts";
import { openImage } from "../../src/model/image/open-image.ts";
import { debianPolicy, type LabelQuestion, matchpathcon } from "../tools/selinux-policy.ts";

const LABEL = byteString("security.selinux");

let directory: string;
let policy: string;
let entries: (DumpEntry & { kind: "node" })[];

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sealwright-selinux-"));
  policy = await debianPolicy();
  const labelled = `oci:${join(directory, "image")}`;
  await addLayer(await requireDebianImage(), labelled, policyFiles());
  const dumpfile = join(directory, "tree.dump");
  const report = await computeDigests(labelled, { dumpfile });
  expect(report.selinuxPolicy).toBe("default");
  entries = [...parseDumpfile(readFileSync(dumpfile)).entries].flatMap((entry) =>
    entry.kind === "node" ? [entry] : [],
  );
}, 900_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

function policyFiles(): Record<string, Uint8Array | undefined> {
  const files = "etc/selinux/default/contexts/files";
  const parents = files.split("/").map((_, index, names) => `${names.slice(0, index + 1).join("/")}/`);
  return {
    ...Object.fromEntries(parents.slice(1).map((path) => [path, undefined])),
    "etc/selinux/config": Buffer.from("SELINUX=enforcing\nSELINUXTYPE=default\n"),
    ...Object.fromEntries(
      ["file_contexts", "file_contexts.homedirs", "file_contexts.subs_dist"].map((name) => [
        `${files}/${name}`,
        readFileSync(join(policy, name)),
      ]),
    ),
  };
}

/** An image with one plain layer more; a path without content is a directory. */
async function addLayer(from: string, to: string, files: Record<string, Uint8Array | undefined>): Promise<void> {
  const meta = { uid: 0, gid: 0, mtimeSec: 1_700_000_000n, mtimeNsec: 0, xattrs: new Map() };
  const parts = Object.entries(files).flatMap(([name, content]) => {
    const path = byteString(name);
    if (content === undefined) return [encodeTarEntry({ ...meta, path, mode: 0o755, kind: "directory" })];
    const header = encodeTarEntry({ ...meta, path, mode: 0o644, kind: "file", size: content.length });
    return [header, content, tarPadding(content.length)];
  });
  const tar = Buffer.concat([...parts, TAR_END]);
  await using image = await openImage(from);
  await using writer = await openImageWriter(to);
  for (const layer of image.layers) await writer.copyBlob(layer);
  const layer = await writer.putBytes(tar, layerMediaType(image.manifestMediaType, "none"));
  const rootfs = { ...image.config.rootfs, diff_ids: [...(image.config.rootfs.diff_ids ?? []), toBlobDigest(tar)] };
  const { history: _, ...config } = { ...image.config, rootfs };
  const stored = await writer.putBytes(encodeImageConfig(config), image.manifest.config.mediaType);
  const layers = [...image.manifest.layers, layer];
  const manifestBytes = encodeManifest({ ...image.manifest, config: stored, layers });
  await writer.commit({ manifestBytes, mediaType: image.manifestMediaType });
}

const TYPES = { directory: "d", symlink: "l", char: "c", block: "b", fifo: "p", socket: "s" } as const;

test("every path of the image has the label that libselinux gives it", () => {
  const questions = entries.map(
    ({ node, path }): LabelQuestion => ({
      path: Buffer.from(path, "latin1").toString("utf8"),
      type: node.kind in TYPES ? TYPES[node.kind as keyof typeof TYPES] : "-",
    }),
  );
  const answers = matchpathcon(join(policy, "file_contexts"), questions);
  const wrong = entries.flatMap(({ meta, path }, index) => {
    const label = meta.xattrs.get(LABEL) ?? "<<none>>";
    return label === answers[index] ? [] : [`${path}: ${label}, libselinux ${answers[index]}`];
  });
  expect(entries.length).toBeGreaterThan(5000);
  expect(wrong.slice(0, 20)).toEqual([]);
});
