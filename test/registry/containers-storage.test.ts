import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { attachImage } from "../../src/actions/attach/attach-image.ts";
import { copyImage } from "../../src/actions/copy/copy-image.ts";
import { openTempDir, type TempDir } from "../../src/model/host-io/temp.ts";
import { openImage } from "../../src/model/image/open-image.ts";
import { codeOfAsync } from "../code-of.ts";
import { type WrittenImage, writeSmallImage } from "../small-image.ts";

/** An image in a layout, and a storage of its own: not that of this machine. */
async function prepare(temp: TempDir): Promise<WrittenImage> {
  const graph = join(temp.path, "root");
  const run = join(temp.path, "run");
  const storage = `[storage]\ndriver = "vfs"\ngraphroot = "${graph}"\nrunroot = "${run}"\n`;
  writeFileSync(join(temp.path, "storage.conf"), storage);
  return await writeSmallImage(`oci:${temp.path}/image:one`);
}

/** A key to say something with. */
function signing(temp: TempDir) {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = join(temp.path, "key.pem");
  writeFileSync(key, privateKey.export({ format: "pem", type: "pkcs8" }), { mode: 0o600 });
  return { key, now: new Date(), env: {}, home: temp.path };
}

/** Runs with these programs and no others. */
async function withPrograms<T>(temp: TempDir, names: readonly string[], work: () => Promise<T>): Promise<T> {
  const directory = join(temp.path, `bin-${names.join("-")}`);
  mkdirSync(directory, { recursive: true });
  for (const name of names) {
    const program = execFileSync("which", [name], { encoding: "utf8" }).trim();
    symlinkSync(program, join(directory, name));
  }
  const { CONTAINERS_STORAGE_CONF, PATH } = process.env;
  process.env["PATH"] = directory;
  process.env["CONTAINERS_STORAGE_CONF"] = join(temp.path, "storage.conf");
  try {
    return await work();
  } finally {
    process.env["PATH"] = PATH;
    if (CONTAINERS_STORAGE_CONF === undefined) delete process.env["CONTAINERS_STORAGE_CONF"];
    else process.env["CONTAINERS_STORAGE_CONF"] = CONTAINERS_STORAGE_CONF;
  }
}

test.each(["skopeo", "podman"])(
  "copyImage() brings an image into the storage of Podman and out again with %s alone",
  async (program) => {
    await using temp = await openTempDir();
    const written = await prepare(temp);
    const stored = "containers-storage:localhost/small:one";
    await withPrograms(temp, [program], async () => {
      await copyImage(`oci:${temp.path}/image:one`, stored);
      await copyImage(stored, `oci:${temp.path}/back:one`);
      const about = { ...signing(temp), kinds: "signature", toolVersion: "1" };
      await attachImage(`oci:${temp.path}/image:one`, about);
      const carry = () => copyImage(`oci:${temp.path}/image:one`, stored, { referrers: true });
      expect(await codeOfAsync(carry)).toBe("image.referrers-unsupported");
      expect(await codeOfAsync(() => copyImage(`${stored}-not`, `oci:${temp.path}/not`))).toBe("command.failed");
    });
    const env = { ...process.env, CONTAINERS_STORAGE_CONF: join(temp.path, "storage.conf") };
    const listed = execFileSync("podman", ["images", "--format", "{{.Names}}"], { env, encoding: "utf8" });
    expect(listed).toContain("localhost/small:one");
    await using back = await openImage(`oci:${temp.path}/back:one`);
    expect(back.config.rootfs.diff_ids).toEqual(written.diffIds);
  },
);

test("copyImage() says so when there is no program that knows the storage", async () => {
  await using temp = await openTempDir();
  await prepare(temp);
  await withPrograms(temp, [], async () => {
    expect(await codeOfAsync(() => copyImage("containers-storage:x", `oci:${temp.path}/x`))).toBe(
      "image.engine-missing",
    );
    const into = () => copyImage(`oci:${temp.path}/image:one`, "containers-storage:x");
    expect(await codeOfAsync(into)).toBe("image.engine-missing");
  });
});
