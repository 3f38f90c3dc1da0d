import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type VerifyDiskOptions, verifyDisk } from "../../src/actions/verify-disk/verify-disk.ts";
import { verityOffset } from "../../src/formats/ext4/index.ts";
import { SealwrightError } from "../../src/lib/errors.ts";
import { encodeMeta } from "../../src/model/repository/index.ts";
import { codeOfAsync } from "../code-of.ts";
import { run } from "../tools/disk.ts";
import {
  CONTENTS,
  copyDisk,
  debugfs,
  makeSealedDisk,
  NOW,
  placeOf,
  putOnEsp,
  removeFromEsp,
  type SealedDisk,
  verityCommands,
  withVerity,
} from "../tools/sealed-disk.ts";

let directory: string;
let sealed: SealedDisk;
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "sealwright-disk-"));
  sealed = await makeSealedDisk(directory);
}, 60_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const verify = (path: string, more: Partial<VerifyDiskOptions> = {}) =>
  verifyDisk(path, { certificates: [sealed.certificate], now: NOW, ...more });

interface Fault {
  readonly code: string | undefined;
  readonly detail: string;
  readonly data: Readonly<Record<string, unknown>> | undefined;
}

/** Broken links and warnings of a disk, as `name: code`, with what was said. */
async function faultsOf(path: string, more: Partial<VerifyDiskOptions> = {}): Promise<Record<string, Fault>> {
  const { links } = await verify(path, more);
  return Object.fromEntries(
    links.flatMap(({ code, data, detail, name }) =>
      code === undefined ? [] : [[`${name}: ${code}`, { code, data, detail }]],
    ),
  );
}

/** Changes a copy of the disk and gives its only fault. */
async function faultOf(change: (disk: string) => unknown): Promise<[name: string, fault: Fault]> {
  const disk = copyDisk(sealed, join(directory, "changed.raw"));
  await change(disk);
  const faults = Object.entries(await faultsOf(disk));
  expect(faults.map(([name]) => name)).toHaveLength(1);
  return faults[0] as [string, Fault];
}

function flip(disk: string, at: number): void {
  const fd = openSync(disk, "r+");
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, at);
  byte[0] = (byte[0] as number) ^ 1;
  writeSync(fd, byte, 0, 1, at);
  closeSync(fd);
}

const objectFile = (hex: string): string => `/composefs/objects/${hex.slice(0, 2)}/${hex.slice(2)}`;
const fileOf = (path: string): string => objectFile(sealed.object(path));
const flipIn = (path: string, at: number) => (disk: string) => flip(disk, placeOf(disk, path, at));

/** Changes one byte of the disk for as long as it takes to find it. */
async function faultOfByte(path: string, at: number): Promise<[name: string, fault: Fault]> {
  const place = placeOf(sealed.path, path, at);
  flip(sealed.path, place);
  try {
    const faults = Object.entries(await faultsOf(sealed.path));
    expect(faults.map(([name]) => name)).toHaveLength(1);
    return faults[0] as [string, Fault];
  } finally {
    flip(sealed.path, place);
  }
}

describe("a disk that other tools wrote", () => {
  test("verifyDisk() proves every link", async () => {
    const verdict = await verify(sealed.path);
    expect(verdict).toMatchObject({ holds: true, exitCode: 0 });
    expect(new Set(verdict.links.map(({ status }) => status))).toEqual(new Set(["holds"]));
    expect(verdict.links.find(({ name }) => name === "objects")?.detail).toContain("they back 9 files");
  });

  test.each([[[]], [["-c"]]])("verifyDisk() proves it as the qcow2 of qemu-img convert %s", async (flags) => {
    const path = join(directory, "disk.qcow2");
    run("qemu-img", ["convert", ...flags, "-O", "qcow2", sealed.path, path]);
    expect(await verify(path)).toMatchObject({ holds: true });
    const changed = join(directory, "changed.raw");
    flip(copyDisk(sealed, changed), placeOf(sealed.path, fileOf("usr/lib/large"), 5 << 20));
    run("qemu-img", ["convert", ...flags, "-O", "qcow2", changed, path]);
    expect(Object.keys(await faultsOf(path))).toEqual(["objects: disk.object.digest-mismatch"]);
  });

  test("verifyDisk() proves one of SHA-256", async () => {
    const other = mkdtempSync(join(directory, "sha256-"));
    const disk = await makeSealedDisk(other, { algorithm: "sha256" });
    const options = { certificates: [disk.certificate] };
    expect(await verify(disk.path, options)).toMatchObject({ holds: true });
    flip(disk.path, placeOf(disk.path, objectFile(disk.object("usr/lib/large")), 8 << 20));
    expect(await faultsOf(disk.path, options)).toMatchObject({
      "objects: disk.object.digest-mismatch": { data: { path: "/usr/lib/large", offset: 8 << 20 } },
    });
  });

  test("verifyDisk() stops when it is asked to", async () => {
    expect(await codeOfAsync(() => verify(sealed.path, { signal: AbortSignal.abort() }))).toBe("interrupted");
  });
});

describe("one change to an object", () => {
  const large = CONTENTS["usr/lib/large"];
  /** SHA-512 of 9 MiB and 17 bytes: the levels have 1 and 37 blocks. */
  const leafOf = (at: number): number => verityOffset(large) + 4096 + Math.floor(at / 4096) * 64;

  test.each<[string, keyof typeof CONTENTS, number, number]>([
    ["the first byte", "usr/lib/one-block", 0, 0],
    ["a byte of the last block", "usr/lib/blocks", 4999, 4096],
    ["a byte of the first range", "usr/lib/large", 4097, 4096],
    ["a byte of the last range", "usr/lib/large", large - 1, 9 << 20],
  ])("verifyDisk() names file and block of %s in %s", async (_, path, at, offset) => {
    const [name, fault] = await faultOfByte(fileOf(path), at);
    expect(name).toBe("objects: disk.object.digest-mismatch");
    expect(fault.data).toMatchObject({ path: `/${path}`, object: sealed.object(path), offset });
    expect(fault.detail).toContain(`/${path}: object `);
  });

  test.each<[string, keyof typeof CONTENTS, number, string]>([
    ["a byte behind the end", "usr/lib/one-block", 4050, "padding-not-zero"],
    ["a byte behind the end", "usr/lib/large", large + 1, "padding-not-zero"],
    ["a leaf", "usr/lib/large", leafOf(6 << 20), "tree-differs"],
    ["the root's block", "usr/lib/large", verityOffset(large), "tree-differs"],
    ["the end of a level", "usr/lib/large", verityOffset(large) + 4095, "tree-differs"],
    ["the root hash", "usr/lib/one-block", verityOffset(4000) + 16, "descriptor-differs"],
    ["the salt", "usr/lib/large", verityOffset(large) + 38 * 4096 + 100, "descriptor-differs"],
    ["the size of the descriptor", "usr/lib/one-block", verityOffset(4000) + 4095, "descriptor-missing"],
  ])("verifyDisk() finds %s of %s at %i: %s", async (_, path, at, code) => {
    const [name, fault] = await faultOfByte(fileOf(path), at);
    expect(name).toBe(`objects: disk.object.${code}`);
    expect(fault.data).toMatchObject({ path: `/${path}` });
  });

  test("verifyDisk() says which part of a file a changed leaf belongs to", async () => {
    const [, fault] = await faultOfByte(fileOf("usr/lib/large"), leafOf(6 << 20));
    expect(fault.data).toMatchObject({ block: 6 << 20, offset: leafOf(6 << 20) });
  });

  test.each<[string, (disk: string) => void, string]>([
    ["removed", (disk) => debugfs(disk, [`rm ${fileOf("usr/lib/blocks")}`]), "missing"],
    ["without fs-verity", (disk) => debugfs(disk, [`sif ${fileOf("usr/lib/blocks")} flags 0x80000`]), "verity-missing"],
    ["of another size", (disk) => debugfs(disk, [`sif ${fileOf("usr/lib/blocks")} size 4999`]), "size-differs"],
    [
      "replaced by another",
      (disk) => {
        const [from, to] = [fileOf("usr/lib/two-levels"), fileOf("usr/lib/blocks")];
        writeFileSync(join(directory, "file"), withVerity(new Uint8Array(5000), "sha512"));
        debugfs(disk, [`rm ${to}`, `write ${join(directory, "file")} ${to}`, ...verityCommands(to, 5000)]);
        expect(from).not.toBe(to);
      },
      "digest-mismatch",
    ],
    ["with a broken inode", (disk) => debugfs(disk, [`sif ${fileOf("usr/lib/blocks")} block[0] 0x1234`]), "unreadable"],
  ])("verifyDisk() finds an object %s", async (_, change, code) => {
    const [name, fault] = await faultOf(change);
    expect(name).toBe(`objects: disk.object.${code}`);
    expect(fault.data).toMatchObject({ path: "/usr/lib/blocks", object: sealed.object("usr/lib/blocks") });
  });

  test("verifyDisk() tells of twenty objects at most", async () => {
    const disk = copyDisk(sealed, join(directory, "changed.raw"));
    for (const path of Object.keys(CONTENTS)) flipIn(fileOf(path), 1)(disk);
    const { links, exitCode } = await verify(disk);
    expect(links.filter(({ status }) => status === "broken").map(({ data }) => data?.["path"])).toEqual([
      "/usr/lib/blocks",
      "/usr/lib/large",
      "/usr/lib/one-block",
      "/usr/lib/two-levels",
    ]);
    expect(exitCode).toBe(80);
  });
});

describe("one change to the repository", () => {
  const image = (): string => objectFile(sealed.id);
  const replaceMeta =
    (content: string | Uint8Array, verity = true) =>
    (disk: string) => {
      const bytes = Buffer.from(content);
      writeFileSync(join(directory, "meta"), verity ? withVerity(bytes, "sha512") : bytes);
      debugfs(disk, [
        "rm /composefs/meta.json",
        `write ${join(directory, "meta")} /composefs/meta.json`,
        ...(verity ? verityCommands("/composefs/meta.json", bytes.length) : []),
      ]);
    };
  const meta = Buffer.from(encodeMeta("sha512", 1)).toString();

  test.each<[string, (disk: string) => void, string]>([
    ["a byte of the EROFS image", (disk) => flipIn(image(), 5000)(disk), "image: disk.image.digest-mismatch"],
    ["the tree of the EROFS image", (disk) => flipIn(image(), 65_536)(disk), "image: disk.image.tree-differs"],
    [
      "an EROFS image without fs-verity",
      (disk) => debugfs(disk, [`sif ${image()} flags 0x80000`]),
      "image: disk.image.verity-missing",
    ],
    ["no EROFS image", (disk) => debugfs(disk, [`rm /composefs/images/${sealed.id}`]), "image: disk.image.missing"],
    ["no meta.json", (disk) => debugfs(disk, ["rm /composefs/meta.json"]), "repository: disk.meta.missing"],
    ["meta.json without fs-verity", replaceMeta(meta, false), "repository: disk.meta.verity-missing"],
    [
      "a byte of meta.json",
      (disk) => flipIn("/composefs/meta.json", 20)(disk),
      "repository: disk.meta.descriptor-differs",
    ],
    ["meta.json that is no JSON", replaceMeta("{"), "repository: disk.meta.malformed"],
    [
      "meta.json of a later version",
      replaceMeta(meta.replace('"version": 1', '"version": 2')),
      "repository: disk.meta.version",
    ],
    [
      "meta.json with an unknown feature",
      replaceMeta(meta.replace('"incompatible": []', '"incompatible": ["x"]')),
      "repository: disk.meta.feature",
    ],
    ["meta.json of SHA-256", replaceMeta(encodeMeta("sha256", 1)), "image: disk.meta.algorithm-differs"],
    [
      "meta.json of a hash that is not known",
      replaceMeta(meta.replace("sha512", "md5")),
      "repository: disk.meta.algorithm",
    ],
    [
      "a file among the objects",
      (disk) => debugfs(disk, ["cd /composefs/objects/00", `write ${sealed.certificate} .tmp-object-1`]),
      "repository: disk.object.stray",
    ],
    [
      "a link that leads elsewhere",
      (disk) => debugfs(disk, ["symlink /composefs/streams/oci-x /etc/passwd"]),
      "repository: disk.link.stray",
    ],
  ])("verifyDisk() finds %s", async (name, change, code) => {
    const disk = copyDisk(sealed, join(directory, "changed.raw"));
    if (name.includes("among the objects"))
      debugfs(
        disk,
        ["mkdir /composefs/objects/00"].filter(() => !hasPrefix("00")),
      );
    change(disk);
    expect(Object.keys(await faultsOf(disk))).toContain(code);
  });

  const hasPrefix = (prefix: string): boolean =>
    run("debugfs", ["-R", "ls -p /composefs/objects", `${sealed.path}?offset=${65 << 20}`]).includes(`/${prefix}/`);

  test("verifyDisk() tells of objects that nothing needs", async () => {
    const [name, { detail }] = await faultOf((disk) => debugfs(disk, ["rm /composefs/streams/oci-config-sha256:00"]));
    expect(name).toBe("objects: disk.object.unreferenced");
    expect(detail).toMatch(/^1 object /);
  });
});

describe("one change to the ESP", () => {
  const sealedUki = async (commandLine: string): Promise<Uint8Array> => sealed.sign(await sealed.buildUki(commandLine));

  test.each<[string, (disk: string) => unknown, string]>([
    [
      "a byte of the UKI's command line",
      async (disk) => {
        const bytes = await sealedUki(`rw quiet composefs=${sealed.id}`);
        putOnEsp(
          disk,
          sealed.uki,
          Buffer.from(Buffer.from(bytes).toString("latin1").replace("rw quiet", "rw quiey"), "latin1"),
        );
      },
      "uki: pe.signature.digest-mismatch",
    ],
    [
      "an unsigned UKI",
      async (disk) => putOnEsp(disk, sealed.uki, await sealed.buildUki(`rw composefs=${sealed.id}`)),
      "uki: pe.signature.absent",
    ],
    [
      "a stranger's UKI",
      async (disk) =>
        putOnEsp(disk, sealed.uki, await sealed.sign(await sealed.buildUki(`rw composefs=${sealed.id}`), "stranger")),
      "uki: pe.signature.untrusted",
    ],
    ["a UKI that is none", (disk) => putOnEsp(disk, sealed.uki, "MZ"), "uki: pe.truncated"],
    [
      "a UKI without a digest",
      async (disk) => putOnEsp(disk, sealed.uki, await sealedUki("rw")),
      "command-line: uki.cmdline.digest-missing",
    ],
    [
      "a UKI with an optional digest",
      async (disk) => putOnEsp(disk, sealed.uki, await sealedUki(`rw composefs=?${sealed.id}`)),
      "command-line: uki.cmdline.verity-optional",
    ],
    [
      "a UKI with another digest than its name",
      async (disk) => putOnEsp(disk, sealed.uki, await sealedUki(`rw composefs=${"0".repeat(128)}`)),
      "command-line: disk.uki.name-differs",
    ],
    [
      "a UKI without rw",
      async (disk) => putOnEsp(disk, sealed.uki, await sealedUki(`composefs=${sealed.id}`)),
      "command-line: uki.cmdline.rw-missing",
    ],
    ["no UKI", (disk) => removeFromEsp(disk, sealed.uki), "entries: disk.entry.uki-missing"],
    ["no entry", (disk) => removeFromEsp(disk, sealed.entry), "entries: disk.entry.none"],
    [
      "an entry of bytes",
      (disk) => putOnEsp(disk, "loader/entries/a.conf", new Uint8Array([0x61, 0xff])),
      "entries: bls.entry.encoding",
    ],
    [
      "an entry that starts a bare kernel",
      (disk) => putOnEsp(disk, "loader/entries/a.conf", "linux /vmlinuz\noptions rw\n"),
      "entries: disk.entry.not-uki",
    ],
    [
      "an entry with options",
      (disk) => putOnEsp(disk, sealed.entry, `uki /${sealed.uki}\noptions init=/bin/sh\n`),
      "entries: disk.entry.options-ignored",
    ],
    ["no boot loader", (disk) => removeFromEsp(disk, "EFI/BOOT/BOOTX64.EFI"), "boot-loader: disk.boot-loader.missing"],
    [
      "no installed boot loader",
      (disk) => removeFromEsp(disk, "EFI/systemd/systemd-bootx64.efi"),
      "boot-loader: disk.boot-loader.not-installed",
    ],
    [
      "an addon that is signed by nobody",
      async (disk) => putOnEsp(disk, `${sealed.uki}.extra.d/a.addon.efi`, await addon("debug")),
      "uki: pe.signature.absent",
    ],
    [
      "an addon with a digest",
      async (disk) =>
        putOnEsp(disk, `${sealed.uki}.extra.d/a.addon.efi`, await sealed.sign(await addon("composefs=0"))),
      "uki: uki.cmdline.composefs-digest",
    ],
    [
      "another program",
      async (disk) => putOnEsp(disk, "shell.efi", await sealed.buildUki("rw")),
      "esp: pe.signature.absent",
    ],
    [
      "a program with another name",
      async (disk) => putOnEsp(disk, "EFI/tool", await sealed.buildUki("rw")),
      "esp: pe.signature.absent",
    ],
  ])("verifyDisk() finds %s", async (_, change, code) => {
    const disk = copyDisk(sealed, join(directory, "changed.raw"));
    await change(disk);
    const faults = await faultsOf(disk);
    expect(Object.keys(faults)).toContain(code);
  });

  /** An addon by its sections: a command line without a kernel. */
  async function addon(commandLine: string): Promise<Uint8Array> {
    return await sealed.buildUki(commandLine, { linux: undefined, initrds: [], osRelease: undefined } as never);
  }

  test("verifyDisk() checks the tree of an entry that nothing signs", async () => {
    const disk = copyDisk(sealed, join(directory, "changed.raw"));
    removeFromEsp(disk, sealed.uki);
    putOnEsp(disk, sealed.entry, `linux /vmlinuz\ninitrd /initrd\noptions rw composefs=${sealed.id}\n`);
    flip(disk, placeOf(disk, fileOf("usr/lib/blocks"), 0));
    const faults = await faultsOf(disk);
    expect(Object.keys(faults)).toEqual(["entries: disk.entry.not-uki", "objects: disk.object.digest-mismatch"]);
    expect(faults["objects: disk.object.digest-mismatch"]?.data).toMatchObject({ path: "/usr/lib/blocks" });
  });

  test("verifyDisk() takes a signed addon", async () => {
    const disk = copyDisk(sealed, join(directory, "changed.raw"));
    putOnEsp(disk, `${sealed.uki}.extra.d/a.addon.efi`, await sealed.sign(await addon("debug")));
    expect(await verify(disk)).toMatchObject({ holds: true });
  });

  test("verifyDisk() takes an unsigned boot loader for what it is", async () => {
    const [name, { detail }] = await faultOf(async (disk) =>
      putOnEsp(disk, "EFI/BOOT/BOOTX64.EFI", await sealed.buildUki("rw")),
    );
    expect(name).toBe("boot-loader: pe.signature.absent");
    expect(detail).toContain("EFI/BOOT/BOOTX64.EFI: ");
  });
});

describe("one change to the state", () => {
  const deployment = (): string => `/state/deploy/${sealed.id}`;
  test.each<[string, () => string[], string]>([
    ["no etc", () => [`rmdir ${deployment()}/etc`], "disk.state.missing"],
    ["no var", () => [`rm ${deployment()}/var`], "disk.state.missing"],
    ["no origin", () => [`rm ${deployment()}/${sealed.id}.origin`], "disk.state.origin-missing"],
    ["a deployment that nothing boots", () => ["mkdir /state/deploy/0123"], "disk.state.unreferenced"],
  ])("verifyDisk() finds %s", async (_, commands, code) => {
    const [name] = await faultOf((disk) => debugfs(disk, commands()));
    expect(name).toBe(`state: ${code}`);
  });
});

describe("what is no sealed disk", () => {
  test.each<[string, () => string, string]>([
    [
      "a zstd",
      () => run("zstd", ["-qf", sealed.path, "-o", join(directory, "disk.zst")]) + join(directory, "disk.zst"),
      "disk.format.unsupported",
    ],
    ["nothing", () => join(directory, "none"), "input.not-found"],
    ["a directory", () => directory, "input.not-a-file"],
  ])("verifyDisk() refuses %s", async (_, path, code) => {
    const at = path();
    expect(await codeOfAsync(() => verify(at))).toBe(code);
  });

  test("verifyDisk() needs a certificate", async () => {
    expect(await codeOfAsync(() => verify(sealed.path, { certificates: [] }))).toBe("verify.certificate-missing");
  });

  test("verifyDisk() gives a verdict on any bytes", async () => {
    const path = join(directory, "bytes");
    writeFileSync(path, readFileSync(sealed.certificate));
    expect(Object.keys(await faultsOf(path))[0]).toMatch(/^partitions: gpt\./);
  });
});

describe("a hostile disk", () => {
  /** Small numbers that look random, the same each time. */
  function* numbers(seed: number): Generator<number, never, void> {
    for (let state = seed; ; ) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      yield state;
    }
  }

  test("verifyDisk() answers any bytes with a verdict or a refusal", async () => {
    const disk = copyDisk(sealed, join(directory, "hostile.raw"));
    // Where the metadata is: tables, FATs and directories, descriptors and inodes, the repository's directories.
    const areas = [
      0,
      512,
      1 << 20,
      (1 << 20) + 32 * 512,
      (2 << 20) + 4096,
      65 << 20,
      (65 << 20) + 4096,
      (65 << 20) + (1 << 17),
    ];
    const random = numbers(7);
    const next = (below: number): number => (random.next().value >>> 8) % below;
    for (let round = 0; round < 25; round++) {
      const places = Array.from({ length: 1 + next(6) }, () => (areas[next(areas.length)] as number) + next(8192));
      for (const place of places) flip(disk, place);
      try {
        await verify(disk);
      } catch (error) {
        expect(error, `round ${round}: ${places.join(" ")}`).toBeInstanceOf(SealwrightError);
      }
      for (const place of places) flip(disk, place);
    }
    expect(await verify(disk)).toMatchObject({ holds: true });
  }, 60_000);
});
