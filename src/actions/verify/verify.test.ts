import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { KERNEL_VERSION, type OsFiles, writeSmallOs } from "../../../test/small-os.ts";
import { stubPath } from "../../../test/tools/ukify.ts";
import { signPe } from "../../formats/authenticode/index.ts";
import { buildUki, type UkiInputs } from "../../formats/uki/index.ts";
import { openImage } from "../../model/image/open-image.ts";
import { openSigner } from "../../model/signing/index.ts";
import { computeDigests } from "../digest/compute-digests.ts";
import { generateKeys } from "../keys/generate-keys.ts";
import { type VerifyOptions, verifyImage } from "./verify-image.ts";

const NOW = new Date("2026-06-01T00:00:00Z");
const UKI = `boot/EFI/Linux/${KERNEL_VERSION}.efi`;
const LOADER = "usr/lib/systemd/boot/efi/systemd-bootx64.efi";

let directory: string;
let stub: Uint8Array;
let loader: Uint8Array;
/** v1-sha512 of the tree that every image here has: what is in /boot is outside of it. */
let digest: string;
let count = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-verify-"));
  for (const name of ["keys", "stranger"]) {
    await generateKeys({ directory: join(directory, name), now: new Date("2026-01-01T00:00:00Z"), randomBytes });
  }
  const path = await stubPath("262-x64", "linux");
  stub = await readFile(path);
  loader = await sign(await readFile(join(dirname(path), "systemd-bootx64.efi")));
  const { digests } = await computeDigests(await image({}));
  digest = String(digests["v1-sha512"]);
});

afterAll(() => rm(directory, { recursive: true, force: true }));

async function sign(pe: Uint8Array, by = "keys"): Promise<Uint8Array> {
  const at = join(directory, by);
  await using signer = await openSigner(join(at, "db.key"), {
    certificatePath: join(at, "db.crt"),
    now: NOW,
  });
  return await signPe(pe, signer, { signingTime: signer.certificate.notBefore });
}

async function uki(cmdline: string, more: UkiInputs = {}): Promise<Uint8Array> {
  const inputs = {
    linux: Buffer.from("kernel"),
    initrds: [Buffer.from("initrd")],
    osRelease: Buffer.from("ID=small\n"),
  };
  const built = await buildUki(stub, { ...inputs, uname: KERNEL_VERSION, cmdline: Buffer.from(cmdline), ...more });
  return built.bytes;
}

/** An image with these files over those of a small OS with a signed boot loader. */
async function image(files: OsFiles): Promise<string> {
  const reference = `oci:${join(directory, `image-${count++}`)}`;
  const directories = { "boot/EFI/": "", "boot/EFI/Linux/": "" };
  await writeSmallOs(reference, { files: { [LOADER]: loader, ...directories, ...files } });
  return reference;
}

const verify = (reference: string, more: Partial<VerifyOptions> = {}) =>
  verifyImage(reference, { certificates: [join(directory, "keys/db.crt")], now: NOW, ...more });

/** The broken links and warnings, as `name: code`. */
async function faults(reference: string, more: Partial<VerifyOptions> = {}): Promise<string[]> {
  const { links } = await verify(reference, more);
  return links.flatMap(({ code, name }) => (code === undefined ? [] : [`${name}: ${code}`]));
}

test("verifyImage() holds for an image that other tools could have sealed", async () => {
  const verdict = await verify(await image({ [UKI]: await sign(await uki(`rw composefs=${digest}`)) }));
  expect(verdict).toMatchObject({ holds: true, exitCode: 0 });
});

test("verifyImage() recognises the format of the digest", async () => {
  const { digests } = await computeDigests(await image({}), { formats: "all" });
  for (const [format, hex] of Object.entries(digests)) {
    const sealed = await image({ [UKI]: await sign(await uki(`rw composefs=${hex}`)) });
    const verdict = await verify(sealed);
    expect(verdict.links.find(({ name }) => name === "digest")?.detail).toContain(`${format} ${hex}`);
    const other = format === "v2-sha512" ? "v1-sha512" : "v2-sha512";
    expect(await faults(sealed, { format: other })).toEqual(["digest: digest.mismatch"]);
  }
});

test("verifyImage() reads the long form of the argument, which names its format", async () => {
  const { digests } = await computeDigests(await image({}), { formats: "v2-sha512" });
  const right = await image({ [UKI]: await sign(await uki(`rw composefs.digest=v1-sha512-12:${digest}`)) });
  const wrong = await image({
    [UKI]: await sign(await uki(`rw composefs.digest=v1-sha512-12:${digests["v2-sha512"]}`)),
  });
  expect(await faults(right)).toEqual([]);
  expect(await faults(wrong)).toEqual(["digest: digest.mismatch"]);
});

test.each<[string, () => Promise<OsFiles>, string[]]>([
  ["no UKI", async () => ({}), ["uki: uki.missing"]],
  ["two UKIs", async () => ({ [UKI]: await good(), "boot/EFI/Linux/a.efi": await good() }), ["uki: uki.several"]],
  ["a UKI that is no PE", async () => ({ [UKI]: "x".repeat(100) }), ["uki: pe.dos.magic"]],
  [
    "a UKI without initrd",
    async () => ({ [UKI]: await sign(await uki(`rw composefs=${digest}`, { initrds: [] })) }),
    ["uki: uki.section.missing"],
  ],
  [
    "an unsigned UKI",
    async () => ({ [UKI]: await uki(`rw composefs=${digest}`) }),
    ["uki-signature: pe.signature.absent"],
  ],
  [
    "a UKI of a stranger",
    async () => ({ [UKI]: await sign(await uki(`rw composefs=${digest}`), "stranger") }),
    ["uki-signature: pe.signature.untrusted"],
  ],
  [
    "a UKI changed after signing",
    async () => ({ [UKI]: flip(await good()) }),
    ["uki-signature: pe.signature.digest-mismatch"],
  ],
  [
    "no digest",
    async () => ({ [UKI]: await sign(await uki("rw quiet")) }),
    ["command-line: uki.cmdline.digest-missing"],
  ],
  [
    "two digests",
    async () => ({ [UKI]: await sign(await uki(`rw composefs=${digest} composefs=${"0".repeat(128)}`)) }),
    ["command-line: uki.cmdline.digest-several"],
  ],
  [
    "an optional digest",
    async () => ({ [UKI]: await sign(await uki(`rw composefs=?${digest}`)) }),
    ["command-line: uki.cmdline.verity-optional"],
  ],
  [
    "half a digest",
    async () => ({ [UKI]: await sign(await uki(`rw composefs=${digest.slice(1)}`)) }),
    ["command-line: uki.cmdline.composefs-digest"],
  ],
  [
    "no rw",
    async () => ({ [UKI]: await sign(await uki(`composefs=${digest}`)) }),
    ["command-line: uki.cmdline.rw-missing"],
  ],
  ["another tree", async () => ({ [UKI]: await good(), "usr/bin/back-door": "x" }), ["digest: digest.mismatch"]],
  [
    "an unsigned boot loader",
    async () => ({
      [UKI]: await good(),
      [LOADER]: await readFile(join(dirname(await stubPath("262-x64", "linux")), "systemd-bootx64.efi")),
    }),
    ["digest: digest.mismatch", "boot-loader: pe.signature.absent"],
  ],
  [
    "bootupd",
    async () => ({ [UKI]: await good(), "usr/bin/bootupctl": "b" }),
    ["digest: digest.mismatch", "boot-loader: image.bootupd-present"],
  ],
])("verifyImage() tells of %s", async (_, files, expected) => {
  const reference = await image(await files());
  expect(await faults(reference)).toEqual(expected);
  const { exitCode, holds } = await verify(reference);
  const onlyWarned = expected.every((fault) => fault.endsWith("rw-missing"));
  expect({ holds, refused: exitCode >= 64 }).toEqual({ holds: onlyWarned, refused: !onlyWarned });
});

const good = async () => await sign(await uki(`rw composefs=${digest}`));

/** Changes a byte of the initrd, which stands near the end. */
function flip(pe: Uint8Array): Uint8Array {
  const at = Buffer.from(pe).lastIndexOf("initrd");
  const changed = Buffer.from(pe);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

test("verifyImage() accepts an optional digest when it is told to, and says so", async () => {
  const sealed = await image({ [UKI]: await sign(await uki(`rw composefs=?${digest}`)) });
  expect(await faults(sealed, { allowMissingVerity: true })).toEqual(["command-line: uki.cmdline.verity-optional"]);
  expect((await verify(sealed, { allowMissingVerity: true })).holds).toBe(true);
});

test("verifyImage() reads every layer, and stops at the one that is not what it should be", async () => {
  const damaged = async (damage: (path: string) => Promise<void>) => {
    const reference = await image({ [UKI]: await good() });
    await using opened = await openImage(reference);
    const blob = String(opened.layers[0]?.digest).replace(":", "/");
    await damage(join(reference.slice(4), "blobs", blob));
    const verdict = await verify(reference);
    return verdict.links.map(({ code, name, status }) => `${name} ${code ?? status}`);
  };
  const unreached = [
    "uki not-reached",
    "uki-signature not-reached",
    "command-line not-reached",
    "digest not-reached",
    "boot-loader not-reached",
    "certificate holds",
  ];
  expect(await damaged((path) => truncate(path, 64))).toEqual(["blobs image.blob.size-mismatch", ...unreached]);
  expect(await damaged((path) => rm(path))).toEqual(["blobs image.blob.missing", ...unreached]);
  // The time in a gzip header: the content is the same, the blob is not.
  const otherTime = async (path: string) => {
    const bytes = await readFile(path);
    bytes[4] = (bytes[4] ?? 0) ^ 1;
    await writeFile(path, bytes);
  };
  expect(await damaged(otherTime)).toEqual(["blobs layer.blob-digest-mismatch", ...unreached]);
});

test("verifyImage() warns of a certificate that expired, as firmware does not", async () => {
  const sealed = await image({ [UKI]: await good() });
  expect(await faults(sealed, { now: new Date("2090-01-01T00:00:00Z") })).toEqual(["certificate: certificate.expired"]);
});

test("verifyImage() wants a certificate that can be read", async () => {
  const sealed = await image({ [UKI]: await good() });
  const key = join(directory, "keys/db.key");
  expect(await codeOfAsync(() => verify(sealed, { certificates: [] }))).toBe("verify.certificate-missing");
  expect(await codeOfAsync(() => verify(sealed, { certificates: [key] }))).toBe("x509.pem.count");
  expect(await codeOfAsync(() => verify(sealed, { certificates: [join(directory, "none")] }))).toBe("input.not-found");
});

test("verifyImage() refuses several digests when one of them is not that of the tree", async () => {
  const { digests } = await computeDigests(await image({}), { formats: "v1-sha512,v2-sha512" });
  const [v1, v2] = [digests["v1-sha512"], digests["v2-sha512"]];
  const lines: [string, string[]][] = [
    [`composefs.digest=v1-sha512-12:${v1} composefs=${v2}`, []],
    [`composefs.digest=v1-sha512-12:${v1} composefs=${"0".repeat(128)}`, ["digest: digest.mismatch"]],
    [`composefs.digest=v2-sha512-12:${v1} composefs=${v1}`, ["digest: digest.mismatch"]],
    [`composefs=${v1} composefs=${v2}`, ["command-line: uki.cmdline.digest-several"]],
    [`composefs.digest=v1-sha512-12:${v1} composefs=?${v2}`, ["command-line: uki.cmdline.verity-optional"]],
  ];
  for (const [line, expected] of lines) {
    expect(await faults(await image({ [UKI]: await sign(await uki(`rw ${line}`)) })), line).toEqual(expected);
  }
});
