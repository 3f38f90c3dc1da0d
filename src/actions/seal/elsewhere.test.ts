/** Seals whose key is elsewhere, against the seal in one and against the tools of others. */
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, cp, mkdtemp, readdir, readFile, rm, stat, symlink, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeOfAsync } from "../../../test/code-of.ts";
import { KERNEL_VERSION, type SmallOs, writeSmallOs } from "../../../test/small-os.ts";
import { OSSLSIGNCODE } from "../../../test/tools/osslsigncode.ts";
import { stubPath } from "../../../test/tools/ukify.ts";
import { encodeImageIndex, MEDIA_TYPE } from "../../formats/oci/index.ts";
import { encodeSigningRequest, hashDocument, parseSigningRequest } from "../../formats/signing-request/index.ts";
import { findSection, findText, parsePcrPolicies, parseUki } from "../../formats/uki/index.ts";
import { openImageWriter } from "../../model/image/image-writer.ts";
import { openImage } from "../../model/image/open-image.ts";
import { openTreeSource } from "../../model/source/tree-source.ts";
import { lookup } from "../../model/tree/tree.ts";
import { generateKeys } from "../keys/generate-keys.ts";
import { verifyImage } from "../verify/verify-image.ts";
import { type AttachOptions, attachSeal } from "./attach.ts";
import { type PrepareOptions, prepareSeal } from "./prepare.ts";
import { sealImage } from "./seal-image.ts";

/** A request as whoever edits it sees it. */
type Document = Record<string, Record<string, unknown>>;

const NOW = new Date("2026-06-01T00:00:00Z");
const UKI = `${KERNEL_VERSION}.efi`;
const LOADER = "systemd-bootx64.efi";

let directory: string;
let keys: string;
let stranger: string;
let count = 0;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "sealwright-elsewhere-"));
  [keys, stranger] = [join(directory, "keys"), join(directory, "stranger")];
  for (const each of [keys, stranger]) {
    await generateKeys({ directory: each, now: new Date("2026-01-01T00:00:00Z"), randomBytes });
  }
});

afterAll(() => rm(directory, { recursive: true, force: true }));

const key = (name: string) => join(keys, name);
const place = (name: string) => join(directory, `${name}-${count++}`);

async function newOs(os: SmallOs = {}): Promise<string> {
  const reference = `oci:${place("os")}`;
  await writeSmallOs(reference, os);
  return reference;
}

function options(request: string, more: Partial<PrepareOptions> = {}): PrepareOptions {
  return {
    directory: request,
    certificatePath: key("db.crt"),
    created: NOW,
    now: NOW,
    tool: "sealwright test",
    ...more,
  };
}

/** The exact bytes that are to be signed, signed by OpenSSL. */
function signRaw(request: string, name: string, by = key("db.key")): void {
  const output = join(request, "signatures", `${name}.sig`);
  execFileSync("openssl", ["dgst", "-sha256", "-sign", by, "-out", output, join(request, "to-be-signed", name)]);
}

/** Both rounds up to the signature of the UKI. */
async function prepared(os: string, more: Partial<PrepareOptions> = {}): Promise<string> {
  const request = place("request");
  const first = await prepareSeal(os, options(request, more));
  if (first.request.round === "image") return request;
  signRaw(request, LOADER);
  await prepareSeal(os, options(request, more));
  return request;
}

async function attach(request: string, more: Partial<AttachOptions> = {}): Promise<string> {
  const to = `oci:${place("sealed")}`;
  await attachSeal(request, { to, certificatePath: key("db.crt"), ...more });
  return to;
}

async function filesOf(reference: string): Promise<string[]> {
  const root = reference.slice(reference.indexOf(":") + 1);
  const names = await readdir(root, { recursive: true });
  const files: string[] = [];
  for (const name of names.sort()) {
    if (!(await stat(join(root, name))).isFile()) continue;
    files.push(
      `${name} ${createHash("sha256")
        .update(await readFile(join(root, name)))
        .digest("hex")}`,
    );
  }
  return files;
}

const holds = async (reference: string) =>
  (await verifyImage(reference, { certificates: [key("db.crt")], now: NOW })).holds;

async function readPe(reference: string, path: string): Promise<string> {
  await using source = await openTreeSource(reference, { algorithms: ["sha512"] });
  const node = lookup(source.tree, path);
  if (node?.kind !== "file") throw new Error(`no ${path}`);
  const [bytes] = await source.read([node.content]);
  const file = place("pe");
  await writeFile(file, bytes as Uint8Array);
  return file;
}

async function addonFile(): Promise<string> {
  const { buildUki } = await import("../../formats/uki/index.ts");
  const { bytes } = await buildUki(await readFile(await stubPath("262-x64", "addon")), {
    cmdline: Buffer.from("console=ttyS0"),
  });
  const file = join(directory, "console.addon.efi");
  await writeFile(file, bytes);
  return file;
}

describe("the sealed image is byte for byte that of the seal in one", () => {
  const cases: [string, () => Promise<Partial<PrepareOptions>>, SmallOs?][] = [
    ["with nothing said", async () => ({})],
    [
      "with kernel arguments, several digests, the kernel kept and no dump",
      async () => ({
        kernelArguments: ["console=ttyS0"],
        digestFormats: "v1,v2,v1-sha256",
        keepKernel: true,
        noDump: true,
      }),
    ],
    ["with a build time", async () => ({ buildTime: new Date("2026-05-04T03:02:01Z") })],
    ["with a stub of another place", async () => ({ stubPath: await stubPath("252-x64", "linux") })],
    [
      "normalised, where fs-verity may be missing",
      async () => ({ normalize: true, allowMissingVerity: true }),
      { mtimeNsec: 5 },
    ],
    ["with an addon", async () => ({ addons: [await addonFile()] })],
  ];
  test.each(cases)("%s", async (_, more, os) => {
    const from = await newOs(os);
    const given = await more();
    const one = `oci:${place("one")}`;
    await sealImage(from, { ...given, to: one, key: key("db.key"), certificatePath: key("db.crt"), now: NOW });
    const request = await prepared(from, given);
    for (const name of await readdir(join(request, "to-be-signed"))) signRaw(request, name);
    expect(await filesOf(await attach(request))).toEqual(await filesOf(one));
  });
});

/** Ways to sign a PE file that are not ours; each leaves something in `signatures/`. */
const WAYS: [string, (request: string, name: string) => void][] = [
  [
    "sbsign",
    (request, name) => {
      const [input, output] = [join(request, "files", name), join(request, "signatures", name)];
      execFileSync("sbsign", ["--key", key("db.key"), "--cert", key("db.crt"), "--output", output, input], {
        stdio: "pipe",
      });
    },
  ],
  [
    "sbsign --detached",
    (request, name) => {
      const [input, output] = [join(request, "files", name), join(request, "signatures", `${name}.p7s`)];
      execFileSync(
        "sbsign",
        ["--detached", "--key", key("db.key"), "--cert", key("db.crt"), "--output", output, input],
        { stdio: "pipe" },
      );
    },
  ],
  [
    "osslsigncode",
    (request, name) => {
      const [input, output] = [join(request, "files", name), join(request, "signatures", name)];
      execFileSync(
        OSSLSIGNCODE,
        ["sign", "-h", "sha256", "-certs", key("db.crt"), "-key", key("db.key"), "-in", input, "-out", output],
        { stdio: "pipe" },
      );
    },
  ],
  [
    "osslsigncode extract-signature",
    (request, name) => {
      const [input, signed] = [join(request, "files", name), place("signed")];
      execFileSync(
        OSSLSIGNCODE,
        ["sign", "-h", "sha256", "-certs", key("db.crt"), "-key", key("db.key"), "-in", input, "-out", signed],
        { stdio: "pipe" },
      );
      execFileSync(
        OSSLSIGNCODE,
        ["extract-signature", "-in", signed, "-out", join(request, "signatures", `${name}.p7s`)],
        { stdio: "pipe" },
      );
    },
  ],
  [
    "a key that is given a digest, as HSMs are",
    (request, name) => {
      const digest = place("digest");
      execFileSync("openssl", ["dgst", "-sha256", "-binary", "-out", digest, join(request, "to-be-signed", name)]);
      const output = join(request, "signatures", `${name}.sig`);
      execFileSync("openssl", [
        "pkeyutl",
        "-sign",
        "-inkey",
        key("db.key"),
        "-pkeyopt",
        "digest:sha256",
        "-in",
        digest,
        "-out",
        output,
      ]);
    },
  ],
];

test.each(WAYS)("attachSeal() takes the signatures of %s, and sbverify the result", async (_, sign) => {
  const from = await newOs();
  const request = place("request");
  await prepareSeal(from, options(request));
  sign(request, LOADER);
  const second = await prepareSeal(from, options(request));
  expect(second).toMatchObject({ loaderSignature: "earlier round", request: { round: "image" } });
  sign(request, UKI);
  const to = await attach(request);
  expect(await holds(to)).toBe(true);
  for (const path of [`boot/EFI/Linux/${UKI}`, `usr/lib/systemd/boot/efi/${LOADER}`]) {
    const said = execFileSync("sbverify", ["--cert", key("db.crt"), await readPe(to, path)], {
      encoding: "utf8",
      stdio: "pipe",
    });
    expect(said).toContain("Signature verification OK");
  }
});

test("prepareSeal() needs one round where the boot loader was signed before, and believes no cache", async () => {
  const from = await newOs();
  const cacheDirectory = place("cache");
  await prepared(from, { cacheDirectory });
  const changed = await newOs({ files: { "etc/hostname": "another\n" } });
  const again = await prepareSeal(changed, options(place("request"), { cacheDirectory }));
  expect(again).toMatchObject({ loaderSignature: "cache", request: { round: "image" } });

  const other = options(place("request"), { cacheDirectory, certificatePath: join(stranger, "db.crt") });
  expect((await prepareSeal(changed, other)).request.round).toBe("boot-loader");

  const [name = ""] = await readdir(join(cacheDirectory, "signed"));
  const file = join(cacheDirectory, "signed", name);
  const kept = await readFile(file);
  for (const damage of [Buffer.from("nonsense"), kept.with(kept.length - 1, 0xff ^ Number(kept.at(-1)))]) {
    await writeFile(file, damage);
    const report = await prepareSeal(changed, options(place("request"), { cacheDirectory }));
    expect(report.loaderSignature).toBe("to be signed");
  }
});

test("prepareSeal() asks for nothing that the image has signed already", async () => {
  const from = await newOs();
  const loader = await readPe(from, `usr/lib/systemd/boot/efi/${LOADER}`);
  execFileSync("sbsign", ["--key", key("db.key"), "--cert", key("db.crt"), "--output", loader, loader], {
    stdio: "pipe",
  });
  const signed = await newOs({ files: { [`usr/lib/systemd/boot/efi/${LOADER}`]: await readFile(loader) } });
  const request = place("request");
  const report = await prepareSeal(signed, options(request));
  expect(report.loaderSignature).toBe("in the image");
  expect(report.request.items.map(({ name }) => name)).toEqual([UKI]);
  signRaw(request, UKI);
  expect(await holds(await attach(request))).toBe(true);
});

test("a request goes to another machine and back, without a cache and with the image elsewhere", async () => {
  const from = await newOs();
  const request = await prepared(from);
  const moved = place("moved");
  await cp(request, moved, { recursive: true });
  signRaw(moved, UKI);
  const copy = place("copy");
  await cp(from.slice(4), copy, { recursive: true });
  await rm(from.slice(4), { recursive: true });
  expect(await holds(await attach(moved, { image: `oci:${copy}` }))).toBe(true);
});

test("prepareSeal() replaces no request whose signatures are still to come, unless it is told to", async () => {
  const from = await newOs();
  const request = place("request");
  await prepareSeal(from, options(request));
  expect(await codeOfAsync(() => prepareSeal(from, options(request)))).toBe("output.exists");
  await prepareSeal(from, options(request, { overwrite: true }));
  const done = await prepared(from);
  expect(await codeOfAsync(() => prepareSeal(from, options(done)))).toBe("output.exists");
  expect((await readdir(directory)).filter((name) => name.startsWith("."))).toEqual([]);
});

describe("with PCR policies, there is a round for them", () => {
  let pcr: string;

  beforeAll(() => {
    pcr = place("pcr");
    execFileSync("openssl", ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", pcr], {
      stdio: "pipe",
    });
    execFileSync("chmod", ["600", pcr]);
    execFileSync("openssl", ["pkey", "-in", pcr, "-pubout", "-out", `${pcr}.pub`], { stdio: "pipe" });
  });

  /** Up to the request for the policies. */
  async function secondRound(from: string): Promise<string> {
    const request = place("request");
    await prepareSeal(from, options(request, { pcrPublicKeyPath: `${pcr}.pub` }));
    signRaw(request, LOADER);
    const second = await prepareSeal(from, options(request, { pcrPublicKeyPath: `${pcr}.pub` }));
    expect(second.request.round).toBe("pcr-policies");
    expect(second.request.items).toHaveLength(16);
    return request;
  }

  test("and what OpenSSL signs in it gives the seal in one", async () => {
    const from = await newOs();
    const one = `oci:${place("one")}`;
    await sealImage(from, { to: one, key: key("db.key"), certificatePath: key("db.crt"), pcrKey: pcr, now: NOW });
    const request = await secondRound(from);
    expect(await codeOfAsync(() => attach(request))).toBe("signing-request.first-round");
    for (const name of await readdir(join(request, "to-be-signed"))) signRaw(request, name, pcr);
    const third = await prepareSeal(from, options(request, { pcrPublicKeyPath: `${pcr}.pub` }));
    expect(third.request).toMatchObject({ round: "image", items: [{ role: "uki" }] });
    signRaw(request, UKI);
    expect(await filesOf(await attach(request))).toEqual(await filesOf(one));
  });

  test("in which each policy is the digest that OpenSSL verifies its signature over", async () => {
    const to = `oci:${place("one")}`;
    const signer = { key: key("db.key"), certificatePath: key("db.crt"), now: NOW };
    await sealImage(await newOs(), { to, ...signer, pcrKey: pcr, pcrPublicKeyPath: `${pcr}.pub` });
    const uki = parseUki(await readFile(await readPe(to, `boot/EFI/Linux/${UKI}`)));
    expect(findText(uki, ".pcrpkey")).toBe(await readFile(`${pcr}.pub`, "utf8"));
    const [policy] = parsePcrPolicies(findSection(uki, ".pcrsig") ?? new Uint8Array()).sha256 ?? [];
    const [message, signature] = [place("policy"), place("signature")];
    await writeFile(message, Buffer.from(policy?.pol ?? "", "hex"));
    await writeFile(signature, Buffer.from(policy?.sig ?? "", "base64"));
    const said = execFileSync("openssl", [
      "dgst",
      "-sha256",
      "-verify",
      `${pcr}.pub`,
      "-signature",
      signature,
      message,
    ]);
    expect(said.toString()).toContain("Verified OK");
    expect(await holds(to)).toBe(true);
  });

  test("which ends with the last signature, and with none that is wrong", async () => {
    const from = await newOs();
    const request = await secondRound(from);
    const names = await readdir(join(request, "to-be-signed"));
    const again = () => prepareSeal(from, options(request, { pcrPublicKeyPath: `${pcr}.pub` }));
    for (const name of names.slice(1)) signRaw(request, name, pcr);
    expect(await codeOfAsync(again)).toBe("output.exists");
    signRaw(request, names[0] ?? "", key("db.key"));
    expect(await codeOfAsync(again)).toBe("signing-request.signature-wrong");
  });

  test("whose signatures are for no other image", async () => {
    const from = await newOs();
    const request = await secondRound(from);
    for (const name of await readdir(join(request, "to-be-signed"))) signRaw(request, name, pcr);
    const other = await newOs({ files: { "etc/hostname": "another\n" } });
    const more = { pcrPublicKeyPath: `${pcr}.pub` };
    expect(await codeOfAsync(() => prepareSeal(other, options(request, more)))).toBe("signing-request.differs");
    expect((await prepareSeal(other, options(request, { ...more, overwrite: true }))).request.round).toBe(
      "boot-loader",
    );
  });

  test("and a seal in one with the public key alone is refused", async () => {
    const signer = { key: key("db.key"), certificatePath: key("db.crt"), now: NOW };
    const from = await newOs();
    const work = () => sealImage(from, { to: `oci:${place("never")}`, ...signer, pcrPublicKeyPath: `${pcr}.pub` });
    expect(await codeOfAsync(work)).toBe("seal.pcr-key-missing");
  });
});

test("prepareSeal() asks for one image of an index, and wants to know which", async () => {
  const layout = place("index");
  await writeSmallOs(`oci:${layout}:amd64`);
  await using writer = await openImageWriter(`oci:${layout}:both`);
  await using image = await openImage(`oci:${layout}:amd64`);
  const platform = { os: "linux", architecture: "amd64" };
  const entry = { mediaType: image.manifestMediaType, digest: image.manifestDigest, size: image.manifestBytes.length };
  const manifestBytes = encodeImageIndex({ schemaVersion: 2, manifests: [{ ...entry, platform }] });
  await writer.commit({ manifestBytes, mediaType: MEDIA_TYPE.index });
  const reference = `oci:${layout}:both`;
  expect(await codeOfAsync(() => prepareSeal(reference, options(place("request"))))).toBe("seal.prepare-index");
  const { request } = await prepareSeal(reference, options(place("request"), { platform: "linux/amd64" }));
  expect(request.image).toMatchObject({ platform: "linux/amd64", manifestDigest: image.manifestDigest });
});

test("prepareSeal() refuses what it cannot ask for", async () => {
  const from = await newOs();
  const code = (more: Partial<PrepareOptions>) => codeOfAsync(() => prepareSeal(from, options(place("request"), more)));
  expect(await code({ certificatePath: undefined })).toBe("signer.certificate-missing");
  expect(await code({ now: new Date("2090-01-01T00:00:00Z") })).toBe("signer.certificate-expired");
  expect(await code({ digestFormats: "v9" })).toBe("composefs.format.unknown");
  const request = place("request");
  await prepareSeal(from, options(request));
  await writeFile(join(request, "signatures", `${LOADER}.sig`), randomBytes(256));
  expect(await codeOfAsync(() => prepareSeal(from, options(request)))).toBe("signing-request.signature-wrong");
});

describe("attachSeal() refuses", () => {
  let os: string;
  let complete: string;

  beforeAll(async () => {
    os = await newOs();
    complete = await prepared(os);
    signRaw(complete, UKI);
  });

  /** A copy of the request that something happened to. */
  async function damaged(damage: (request: string) => unknown): Promise<string> {
    const request = place("damaged");
    await cp(complete, request, { recursive: true });
    await damage(request);
    return request;
  }

  const signature = (request: string) => join(request, "signatures", `${UKI}.sig`);

  /** Changes the document and gives it the identifier of what it now says. */
  async function forge(request: string, change: (document: Document) => void): Promise<void> {
    const file = join(request, "request.json");
    const { id: _, ...document } = structuredClone(parseSigningRequest(await readFile(file))) as never as Record<
      string,
      never
    >;
    change(document);
    await writeFile(file, JSON.stringify({ ...document, id: hashDocument(document) }));
  }

  const cases: [string, (request: string) => unknown, string][] = [
    ["a missing signature", (request) => unlink(signature(request)), "signing-request.signature-missing"],
    [
      "a signature of noise",
      (request) => writeFile(signature(request), randomBytes(256)),
      "signing-request.signature-wrong",
    ],
    ["an empty signature", (request) => writeFile(signature(request), ""), "signing-request.signature-wrong"],
    [
      "a signature of another key",
      (request) => signRaw(request, UKI, join(stranger, "db.key")),
      "signing-request.signature-wrong",
    ],
    [
      "a signature that is too large",
      (request) => writeFile(signature(request), Buffer.alloc(5000)),
      "signing-request.too-large",
    ],
    [
      "a signed file of another certificate",
      async (request) => {
        await unlink(signature(request));
        const [input, output] = [join(request, "files", UKI), join(request, "signatures", UKI)];
        execFileSync(
          "sbsign",
          ["--key", join(stranger, "db.key"), "--cert", join(stranger, "db.crt"), "--output", output, input],
          { stdio: "pipe" },
        );
      },
      "signing-request.signature-other-certificate",
    ],
    [
      "another file, signed with the right key",
      async (request) => {
        await unlink(signature(request));
        const other = join(dirname(await stubPath("262-x64", "linux")), LOADER);
        execFileSync(
          "sbsign",
          ["--key", key("db.key"), "--cert", key("db.crt"), "--output", join(request, "signatures", UKI), other],
          { stdio: "pipe" },
        );
      },
      "signing-request.signature-other-file",
    ],
    [
      "a file that came back without a signature",
      async (request) => {
        await unlink(signature(request));
        await copyFile(join(request, "files", UKI), join(request, "signatures", UKI));
      },
      "signing-request.signature-wrong",
    ],
    [
      "a request edited by hand",
      async (request) => {
        const file = join(request, "request.json");
        await writeFile(file, (await readFile(file, "utf8")).replace("rw quiet", "rw debug"));
      },
      "signing-request.edited",
    ],
    [
      "a file of the request that was replaced",
      (request) => writeFile(join(request, "files", UKI), "x"),
      "signing-request.file-differs",
    ],
    [
      "a file of the request that is gone",
      (request) => unlink(join(request, "files", UKI)),
      "signing-request.file-missing",
    ],
    ["no request", (request) => unlink(join(request, "request.json")), "signing-request.absent"],
    [
      "a request that is a link",
      async (request) => {
        await unlink(join(request, "request.json"));
        await symlink(join(complete, "request.json"), join(request, "request.json"));
      },
      "signing-request.path",
    ],
    [
      "a directory of signatures that is a link",
      async (request) => {
        await rm(join(request, "signatures"), { recursive: true });
        await symlink(join(complete, "signatures"), join(request, "signatures"));
      },
      "signing-request.path",
    ],
    [
      "an unknown version",
      (request) => forge(request, (document) => Object.assign(document, { version: 2 })),
      "signing-request.version",
    ],
    [
      "a command line that the image does not give",
      (request) =>
        forge(request, (document) => Object.assign(document["sealed"] ?? {}, { commandLine: "rw init=/bin/sh" })),
      "signing-request.differs",
    ],
    [
      "options that give another seal",
      (request) =>
        forge(request, (document) => Object.assign(document["seal"] ?? {}, { kernelArguments: ["init=/bin/sh"] })),
      "signing-request.differs",
    ],
    [
      "a summary that lies",
      (request) => forge(request, (document) => Object.assign(document, { summary: ["nothing to see here"] })),
      "signing-request.differs",
    ],
    [
      "a signature of the boot loader that is none",
      (request) => forge(request, ({ sealed }) => Object.assign(sealed?.["bootLoader"] ?? {}, { signature: "AAAA" })),
      "signing-request.signature-wrong",
    ],
    [
      "an image that the request is not about",
      (request) =>
        forge(request, ({ image }) => Object.assign(image ?? {}, { manifestDigest: `sha256:${"0".repeat(64)}` })),
      "signing-request.stale",
    ],
  ];
  test.each(cases)("%s", async (_, damage, code) => {
    const to = place("never");
    const request = await damaged(damage);
    expect(await codeOfAsync(() => attachSeal(request, { to: `oci:${to}`, certificatePath: key("db.crt") }))).toBe(
      code,
    );
    expect(existsSync(to)).toBe(false);
  });

  test("a request whose image was replaced under its name", async () => {
    const from = await newOs();
    const request = await prepared(from);
    signRaw(request, UKI);
    await rm(from.slice(4), { recursive: true });
    await writeSmallOs(from, { files: { "etc/hostname": "replaced\n" } });
    expect(await codeOfAsync(() => attach(request))).toBe("signing-request.stale");
  });

  test("a certificate that somebody swapped", async () => {
    const theirs = place("request");
    await prepareSeal(os, options(theirs, { certificatePath: join(stranger, "db.crt") }));
    signRaw(theirs, LOADER, join(stranger, "db.key"));
    await prepareSeal(os, options(theirs, { certificatePath: join(stranger, "db.crt") }));
    signRaw(theirs, UKI, join(stranger, "db.key"));
    expect(await codeOfAsync(() => attach(theirs))).toBe("signing-request.certificate-swapped");
  });

  test("the first round, and a seal without a name", async () => {
    const first = place("request");
    await prepareSeal(os, options(first));
    expect(await codeOfAsync(() => attach(first))).toBe("signing-request.first-round");
    expect(await codeOfAsync(() => attachSeal(complete, {}))).toBe("seal.target-missing");
  });

  test("nothing when all is as it should be", async () => {
    const request = await damaged(async (copy) => {
      const file = join(copy, "request.json");
      await writeFile(file, encodeSigningRequest(parseSigningRequest(await readFile(file))));
    });
    expect(await holds(await attach(request))).toBe(true);
  });
});
