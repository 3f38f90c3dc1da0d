import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { zstdDecompressSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { requireDebianImage } from "../../scripts/debian-image.ts";

interface ListedEntry {
  /** As `ls -l` shows it: type and permissions. */
  readonly mode: string;
  /** `0/0`: user and group by number. */
  readonly owner: string;
  readonly time: string;
  readonly path: string;
  /** Of a symbolic link. */
  readonly target: string | undefined;
}

/** One line of GNU tar: mode, owner, size, date, time, name, and the target of a link. */
const LISTED = /^(\S+) (\S+) +\S+ (\S+ \S+) (.*?)(?: (?:->|link to) (.*))?$/;

const manifest = () => JSON.parse(run("skopeo", ["inspect", "--raw", reference]).toString());
let reference = "";
let layers: readonly Uint8Array[] = [];
let listings: readonly (readonly ListedEntry[])[] = [];
let tree: ReadonlyMap<string, ListedEntry> = new Map();

beforeAll(async () => {
  reference = await requireDebianImage();
  const directory = reference.split(":")[1];
  layers = (manifest().layers as { digest: string }[]).map(({ digest }) =>
    zstdDecompressSync(readFileSync(`${directory}/blobs/${digest.replace(":", "/")}`)),
  );
  listings = layers
    .map((tar) => run("tar", ["--numeric-owner", "--full-time", "-tvf", "-"], tar).toString())
    .map((text) => text.trimEnd().split("\n").map(parseListed));
  tree = new Map(listings.flat().map((entry) => [entry.path, entry]));
}, 900_000);

function run(program: string, args: readonly string[], input?: Uint8Array): Buffer {
  const env = { ...process.env, LC_ALL: "C", TZ: "UTC" };
  const result = spawnSync(program, args, { input, env, maxBuffer: 1 << 30 });
  if (result.status !== 0) throw new Error(`${program}: ${result.error?.message ?? result.stderr.toString()}`);
  return result.stdout;
}

function parseListed(line: string): ListedEntry {
  const [, mode, owner, time, path, target] = LISTED.exec(line) ?? [];
  if (mode === undefined || owner === undefined || time === undefined || path === undefined)
    throw new Error(`tar printed: ${line}`);
  return { mode, owner, time, path: path.replace(/\/$/, ""), target };
}

const childrenOf = (path: string): string[] => [...tree.keys()].filter((name) => name.startsWith(`${path}/`));
const contentOf = (path: string): string => {
  const layer = layers[listings.findLastIndex((entries) => entries.some((entry) => entry.path === path))];
  return run("tar", ["-xOf", "-", path], layer).toString();
};

describe("the Debian image", () => {
  test("is an image that skopeo reads, with the labels and the command of a bootable one", () => {
    const config = JSON.parse(run("skopeo", ["inspect", "--config", reference]).toString());
    expect(config.config).toMatchObject({ Cmd: ["/sbin/init"], StopSignal: "SIGRTMIN+3" });
    expect(config.config.Labels).toMatchObject({ "containers.bootc": "1", "ostree.bootable": "1" });
    expect(config.rootfs.diff_ids).toHaveLength(3);
    expect(config.history).toHaveLength(3);
    const version = config.config.Labels["org.opencontainers.image.version"];
    expect(manifest().annotations["org.opencontainers.image.version"]).toBe(version);
  });

  test("declares in every layer each directory on the way to its entries, the same everywhere", () => {
    for (const entries of listings) {
      const directories = new Set<string>();
      for (const { path, mode } of entries) {
        const parent = path.slice(0, Math.max(0, path.lastIndexOf("/")));
        expect(parent === "" || directories.has(parent), path).toBe(true);
        if (mode.startsWith("d")) directories.add(path);
        if (mode.startsWith("d")) expect({ path, mode }).toEqual({ path, mode: tree.get(path)?.mode });
      }
    }
  });

  test("has whole seconds, and no time after its own", () => {
    const created = Date.parse(JSON.parse(run("skopeo", ["inspect", reference]).toString()).Created);
    for (const { time, path } of listings.flat()) {
      expect(time, path).not.toContain(".");
      expect(Date.parse(`${time.replace(" ", "T")}Z`), path).toBeLessThanOrEqual(created);
    }
  });

  test("belongs to users of the system, and to none of the machine that built it", () => {
    const strangers = listings.flat().filter(({ owner }) => owner.split("/").some((id) => Number(id) >= 1000));
    expect(strangers).toEqual([]);
    expect(tree.get("usr")).toMatchObject({ owner: "0/0", mode: "drwxr-xr-x" });
  });

  test("has one kernel with its initial RAM file system under /usr/lib/modules", () => {
    const kernels = [...tree.keys()].filter((path) => /^usr\/lib\/modules\/[^/]+$/.test(path));
    expect(kernels).toHaveLength(1);
    for (const name of ["vmlinuz", "initramfs.img", "modules.dep"])
      expect(tree.has(`${kernels[0]}/${name}`)).toBe(true);
    expect(tree.has("usr/lib/systemd/boot/efi/systemd-bootx64.efi")).toBe(true);
    expect(tree.has("usr/lib/systemd/boot/efi/linuxx64.efi.stub")).toBe(true);
  });

  test.each(["boot", "dev", "proc", "run", "sys", "sysroot", "tmp"])("has an empty /%s", (path) => {
    expect(tree.get(path)?.mode).toMatch(/^d/);
    expect(childrenOf(path)).toEqual([]);
  });

  test.each([
    ["ostree", "sysroot/ostree"],
    ["home", "var/home"],
    ["root", "var/roothome"],
    ["opt", "var/opt"],
    ["srv", "var/srv"],
    ["mnt", "var/mnt"],
    ["usr/local", "../var/usrlocal"],
    ["var/lib/dpkg", "../../usr/lib/sysimage/dpkg"],
    ["sbin", "usr/sbin"],
  ])("links /%s to %s", (path, target) => {
    expect(tree.get(path)).toMatchObject({ mode: "lrwxrwxrwx", target });
  });

  test("has nothing but directories and links in /var", () => {
    const others = childrenOf("var").filter((path) => !/^[dl]/.test(tree.get(path)?.mode ?? ""));
    expect(others).toEqual([]);
  });

  test("knows its packages, and no machine", () => {
    expect(contentOf("usr/lib/sysimage/dpkg/status")).toMatch(/^Package: fsverity$/m);
    expect(contentOf("etc/machine-id")).toBe("uninitialized\n");
    for (const name of ["hostname", "resolv.conf", "fstab", "shadow-"])
      expect(tree.has(`etc/${name}`), name).toBe(false);
    expect(contentOf("usr/lib/ostree/prepare-root.conf")).toMatch(/^\[composefs\]\nenabled = true$/m);
  });
});
