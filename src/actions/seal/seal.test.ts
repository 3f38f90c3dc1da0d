import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { KERNEL_VERSION, type SmallOs, writeSmallOs } from "../../../test/small-os.ts";
import { findText, parseUki } from "../../formats/uki/index.ts";
import { openImage } from "../../model/image/open-image.ts";
import { openTreeSource } from "../../model/source/tree-source.ts";
import { lookup } from "../../model/tree/tree.ts";
import { computeDigests } from "../digest/compute-digests.ts";
import { generateKeys } from "../keys/generate-keys.ts";
import { verifyImage } from "../verify/verify-image.ts";
import { type SealOptions, sealImage } from "./seal-image.ts";

const NOW = new Date("2026-06-01T00:00:00Z");
const MODULES = `usr/lib/modules/${KERNEL_VERSION}`;
const EFI = "usr/lib/systemd/boot/efi";

let directory: string;
let keys: string;
let count = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-seal-"));
  keys = join(directory, "keys");
  await generateKeys({ directory: keys, now: new Date("2026-01-01T00:00:00Z"), randomBytes });
});

afterAll(() => rm(directory, { recursive: true, force: true }));

async function newOs(os: SmallOs = {}): Promise<string> {
  const reference = `oci:${join(directory, `os-${count++}`)}`;
  await writeSmallOs(reference, os);
  return reference;
}

const newPlace = () => `oci:${join(directory, `sealed-${count++}`)}`;
const pathOf = (reference: string) => reference.replace(/^[^:]*:/, "");

function options(to: string, more: Partial<SealOptions> = {}): SealOptions {
  return { to, key: join(keys, "db.key"), certificatePath: join(keys, "db.crt"), now: NOW, ...more };
}

const verify = (reference: string, certificate = join(keys, "db.crt")) =>
  verifyImage(reference, { certificates: [certificate], now: NOW });

async function readUki(reference: string) {
  await using source = await openTreeSource(reference, { algorithms: ["sha512"] });
  const node = lookup(source.tree, `boot/EFI/Linux/${KERNEL_VERSION}.efi`);
  if (node?.kind !== "file") throw new Error("no UKI");
  const [bytes] = await source.read([node.content]);
  return parseUki(bytes as Uint8Array);
}

test("sealImage() gives an image whose every link holds, with the digest of its own layers", async () => {
  const to = newPlace();
  const report = await sealImage(await newOs(), options(to));
  const verdict = await verify(to);
  expect(verdict.links.map(({ name, status }) => `${name} ${status}`)).toEqual([
    "blobs holds",
    "uki holds",
    "uki-signature holds",
    "command-line holds",
    "digest holds",
    "boot-loader holds",
    "certificate holds",
  ]);
  const { digests } = await computeDigests(to);
  expect(digests).toEqual({ "v1-sha512": report.digest });
  expect(report.uki.commandLine).toBe(`rw quiet composefs=${report.digest}`);
});

test("sealImage() puts the parts of the image into the UKI", async () => {
  const to = newPlace();
  await sealImage(await newOs(), options(to, { kernelArguments: ["console=ttyS0", "quiet"] }));
  const uki = await readUki(to);
  expect(findText(uki, ".uname")).toBe(KERNEL_VERSION);
  expect(findText(uki, ".linux")).toBe("a kernel\n".repeat(60));
  expect(findText(uki, ".initrd")).toBe("an initramfs\n".repeat(40));
  expect(findText(uki, ".osrel")).toContain("ID=small");
  expect(findText(uki, ".cmdline")).toMatch(/^rw quiet composefs=[0-9a-f]{128} console=ttyS0$/);
});

test("sealImage() keeps the lower layers byte for byte and adds one", async () => {
  const from = await newOs({ layers: [{ "usr/bin/more": "more\n".repeat(30) }], compression: "zstd" });
  const to = newPlace();
  await sealImage(from, options(to));
  await using before = await openImage(from);
  await using after = await openImage(to);
  expect(after.layers.slice(0, -1).map(({ digest }) => digest)).toEqual(before.layers.map(({ digest }) => digest));
  expect(after.layers).toHaveLength(before.layers.length + 1);
  expect(after.config.history?.at(-1)?.created_by).toBe("sealwright seal");
  expect(after.config.config?.Labels).toMatchObject({
    "containers.bootc": "1",
    "org.opencontainers.image.version": "1.2",
  });
  expect(after.manifest.annotations).toMatchObject({
    "org.opencontainers.image.version": "1.2",
    "org.opencontainers.image.base.digest": before.manifestDigest,
  });
});

test("sealImage() moves the kernel out of the tree, unless it is to be kept", async () => {
  const names = async (reference: string) => {
    await using source = await openTreeSource(reference, { algorithms: ["sha512"] });
    const modules = lookup(source.tree, MODULES);
    return modules?.kind === "directory" ? [...modules.entries.keys()].sort() : [];
  };
  const from = await newOs();
  const [moved, kept] = [newPlace(), newPlace()];
  await sealImage(from, options(moved));
  await sealImage(from, options(kept, { keepKernel: true }));
  expect(await names(moved)).toEqual(["modules.dep"]);
  expect(await names(kept)).toEqual(["initramfs.img", "modules.dep", "vmlinuz"]);
  expect((await verify(kept)).holds).toBe(true);
});

test("sealImage() signs with each of several keys, and machines that know either start the image", async () => {
  const to = newPlace();
  const beside = { key: join(keys, "KEK.key"), certificatePath: join(keys, "KEK.crt") };
  const report = await sealImage(await newOs(), options(to, { keysBeside: [beside] }));
  expect(report.signersBeside).toMatchObject([{ subject: expect.stringContaining("KEK") }]);
  expect((await verify(to)).holds).toBe(true);
  expect((await verify(to, join(keys, "KEK.crt"))).holds).toBe(true);
  await expect(verify(to, join(keys, "PK.crt"))).resolves.toMatchObject({ holds: false });
  const wrong = { ...beside, certificatePath: join(keys, "PK.crt") };
  const refused = sealImage(await newOs(), options(newPlace(), { keysBeside: [wrong] }));
  await expect(refused).rejects.toMatchObject({ code: "signer.key-certificate-mismatch" });
});

test("sealImage() signs what sbverify accepts", async () => {
  const to = newPlace();
  await sealImage(await newOs(), options(to));
  await using source = await openTreeSource(to, { algorithms: ["sha512"] });
  for (const path of [`boot/EFI/Linux/${KERNEL_VERSION}.efi`, `${EFI}/systemd-bootx64.efi`]) {
    const node = lookup(source.tree, path);
    if (node?.kind !== "file") throw new Error(`no ${path}`);
    const [bytes] = await source.read([node.content]);
    const file = join(directory, "signed.efi");
    await writeFile(file, bytes as Uint8Array);
    const said = execFileSync("sbverify", ["--cert", join(keys, "db.crt"), file], { encoding: "utf8", stdio: "pipe" });
    expect(said).toContain("Signature verification OK");
  }
});

test("sealImage() gives the same bytes for the same input", async () => {
  const from = await newOs();
  const digests = [];
  for (const cacheDirectory of [undefined, join(directory, "cache"), join(directory, "cache")]) {
    digests.push((await sealImage(from, options(newPlace(), { cacheDirectory }))).manifestDigest);
  }
  expect(new Set(digests).size).toBe(1);
});

test("sealImage() seals into archives and from Docker images, which skopeo reads", async () => {
  const from = await newOs({ family: "docker" });
  const file = join(directory, "sealed.tar");
  await sealImage(from, options(`oci-archive:${file}`));
  expect((await verify(`oci-archive:${file}`)).holds).toBe(true);
  const copy = join(directory, "copied");
  execFileSync("skopeo", ["copy", "--quiet", `oci-archive:${file}`, `oci:${copy}:latest`]);
  expect((await verify(`oci:${copy}`)).holds).toBe(true);
});

test("sealImage() removes a boot loader that would be installed in place of the signed one", async () => {
  const to = newPlace();
  await sealImage(await newOs({ files: { [`${EFI}/systemd-bootx64.efi.signed`]: "somebody else's" } }), options(to));
  expect((await verify(to)).holds).toBe(true);
});

test("sealImage() computes one digest whatever composefs-rs does with the nanoseconds of /usr", async () => {
  const to = newPlace();
  await sealImage(await newOs({ mtimeNsec: 250_000_000 }), options(to));
  await using source = await openTreeSource(to, { algorithms: ["sha512"] });
  for (const name of ["usr", "boot", "sysroot"]) {
    expect(lookup(source.tree, name)?.meta).toMatchObject({ mtimeSec: 1_700_000_000n, mtimeNsec: 250_000_000 });
  }
});

test("sealImage() with ephemeral keys writes the certificate and no key", async () => {
  const to = newPlace();
  const certificate = join(directory, "pr.crt");
  const {
    certificatePath: _c,
    key: _k,
    ...rest
  } = options(to, { ephemeralKeys: true, writeCertificateTo: certificate });
  const report = await sealImage(await newOs(), rest);
  expect(report.signer.ephemeral).toBe(true);
  expect((await verify(to, certificate)).holds).toBe(true);
  expect(await readFile(certificate, "utf8")).not.toContain("PRIVATE");
});

test.each<[string, SmallOs, string]>([
  ["no /usr", { layers: [{ ".wh.usr": "" }] }, "image.directory-missing"],
  ["no /boot", { files: { "boot/": null } }, "image.directory-missing"],
  ["no /sysroot", { files: { "sysroot/": null } }, "image.directory-missing"],
  ["no kernel", { files: { [`${MODULES}/vmlinuz`]: null } }, "kernel.none"],
  ["two kernels", { files: { "usr/lib/modules/7/": "", "usr/lib/modules/7/vmlinuz": "k" } }, "kernel.several"],
  ["no initramfs", { files: { [`${MODULES}/initramfs.img`]: null } }, "kernel.initramfs-missing"],
  ["no boot loader", { files: { [`${EFI}/systemd-bootx64.efi`]: null } }, "image.systemd-boot-missing"],
  ["no stub", { files: { [`${EFI}/linuxx64.efi.stub`]: null } }, "image.stub-missing"],
  ["no os-release", { files: { "usr/lib/os-release": null } }, "image.os-release-missing"],
  ["bootupd", { files: { "usr/bin/bootupctl": "b" } }, "image.bootupd-present"],
  [
    "a boot entry",
    { files: { "boot/loader/": "", "boot/loader/entries/": "", "boot/loader/entries/a.conf": "t" } },
    "image.boot-entry-present",
  ],
  [
    "a digest in kargs.d",
    { files: { "usr/lib/bootc/kargs.d/30.toml": 'kargs = ["composefs=00"]' } },
    "uki.cmdline.digest-given",
  ],
  ["broken kargs.d", { files: { "usr/lib/bootc/kargs.d/30.toml": "kargs = [" } }, "uki.kargs.toml"],
  ["a boot loader that is no PE", { files: { [`${EFI}/systemd-bootx64.efi`]: "x".repeat(100) } }, "pe.dos.magic"],
  ["an architecture of another world", { architecture: "s390x" }, "image.architecture-unsupported"],
  ["a parent that no layer declares", { files: { "opt/app/bin": "x" } }, "tree.parent-missing"],
  ["a path that climbs", { files: { "../../etc/passwd": "x" } }, "tree.path-dotdot"],
])("sealImage() refuses an image with %s and leaves nothing behind", async (_, os, code) => {
  const to = newPlace();
  expect(await codeOfAsync(async () => sealImage(await newOs(os), options(to)))).toBe(code);
  expect(existsSync(pathOf(to))).toBe(false);
  expect((await readdir(directory)).filter((name) => name.startsWith("."))).toEqual([]);
});

test("sealImage() refuses an image that is sealed already", async () => {
  const sealed = newPlace();
  await sealImage(await newOs(), options(sealed, { keepKernel: true }));
  expect(await codeOfAsync(() => sealImage(sealed, options(newPlace())))).toBe("image.already-sealed");
});

test("sealImage() refuses keys that do not fit, and writes nothing", async () => {
  const from = await newOs();
  const to = newPlace();
  const code = (more: Partial<SealOptions>) => codeOfAsync(() => sealImage(from, options(to, more)));
  expect(await code({ key: join(keys, "KEK.key") })).toBe("signer.key-certificate-mismatch");
  expect(await code({ now: new Date("2090-01-01T00:00:00Z") })).toBe("signer.certificate-expired");
  expect(await code({ key: join(keys, "absent.key") })).toBe("input.not-found");
  expect(await code({ key: undefined })).toBe("signer.missing");
  expect(await code({ ephemeralKeys: true })).toBe("signer.ambiguous");
  expect(existsSync(pathOf(to))).toBe(false);
});

test("sealImage() refuses layers that are not what their digests say", async () => {
  const damaged = async (damage: (path: string) => Promise<void>) => {
    const from = await newOs();
    await using image = await openImage(from);
    const [layer] = image.layers;
    await damage(join(pathOf(from), "blobs", String(layer?.digest).replace(":", "/")));
    return await codeOfAsync(() => sealImage(from, options(newPlace())));
  };
  expect(await damaged((path) => truncate(path, 100))).toBe("image.blob.size-mismatch");
  expect(await damaged(flipLastByte)).toBe("gzip.corrupt");
  expect(await damaged((path) => rm(path))).toBe("image.blob.missing");
});

async function flipLastByte(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[bytes.length - 6] = (bytes.at(-6) ?? 0) ^ 1;
  await writeFile(path, bytes);
}

test("sealImage() refuses an output that exists and one that cannot be written", async () => {
  const from = await newOs();
  const file = join(directory, "taken.tar");
  await writeFile(file, "mine");
  const code = (to: string) => codeOfAsync(() => sealImage(from, options(to)));
  expect(await code(`oci-archive:${file}`)).toBe("output.exists");
  expect(await readFile(file, "utf8")).toBe("mine");
  expect(await code("oci:/proc/nowhere/at/all")).toBe("output.unwritable");
  expect(await code("docker://registry.example/os:sealed")).toBe("image.transport.unsupported");
});

test("sealImage() stops when it is interrupted, and leaves the place as it was", async () => {
  const from = await newOs();
  const to = newPlace();
  const controller = new AbortController();
  const progress = ({ step }: { step: string }) => {
    if (step === "seal.write") controller.abort();
  };
  expect(await codeOfAsync(() => sealImage(from, options(to, { signal: controller.signal, progress })))).toBe(
    "interrupted",
  );
  expect(existsSync(pathOf(to))).toBe(false);
});

test("sealImage() never shows key material in what it reports", async () => {
  const report = await sealImage(await newOs(), options(newPlace()));
  const key = await readFile(join(keys, "db.key"), "utf8");
  const body = key.split("\n").slice(1, -2).join("");
  expect(JSON.stringify(report)).not.toContain(body.slice(0, 40));
});

test("sealImage() puts the dump of the sealed tree beside the UKI, outside of the digest", async () => {
  const [to, without] = [newPlace(), newPlace()];
  const from = await newOs();
  const report = await sealImage(from, options(to));
  expect(report.dump).toMatchObject({ path: `/boot/${KERNEL_VERSION}.dump` });
  await using source = await openTreeSource(to, { algorithms: ["sha512"] });
  const node = lookup(source.tree, report.dump?.path ?? "");
  if (node?.kind !== "file") throw new Error("no dump");
  const [bytes] = await source.read([node.content]);
  const file = join(directory, "sealed.dump");
  await writeFile(file, bytes as Uint8Array);
  expect((await computeDigests(`dump:${file}`)).digests).toEqual({ "v1-sha512": report.digest });

  const bare = await sealImage(from, options(without, { noDump: true }));
  expect(bare.dump).toBeUndefined();
  expect(bare.digest).toBe(report.digest);
  expect(bare.layer.size).toBeLessThan(report.layer.size);
});

test("sealImage() writes several digests, of which verifyImage() takes each", async () => {
  const to = newPlace();
  const report = await sealImage(await newOs(), options(to, { digestFormats: "v1,v2,v1-sha256" }));
  const all = (await computeDigests(to, { formats: "v1-sha512,v2-sha512,v1-sha256" })).digests;
  expect(report.digests).toEqual(all);
  expect(report.uki.commandLine).toBe(
    [
      "rw quiet",
      `composefs.digest=v1-sha512-12:${all["v1-sha512"]}`,
      `composefs.digest=v1-sha256-12:${all["v1-sha256"]}`,
      `composefs=${all["v2-sha512"]}`,
    ].join(" "),
  );
  const verdict = await verify(to);
  expect(verdict.holds).toBe(true);
  expect(verdict.links.find(({ name }) => name === "digest")?.detail).toContain("v2-sha512");
  await using image = await openImage(to);
  expect(image.manifest.annotations).toMatchObject({
    "composefs.merged.bootable.erofs.v1.fsverity-sha256-12": all["v1-sha256"],
    "composefs.merged.bootable.erofs.v1.fsverity-sha512-12": all["v1-sha512"],
  });
});
