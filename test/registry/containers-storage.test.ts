import { expect, test } from "vitest";
import { copyImage } from "../../src/actions/copy/copy-image.ts";
import { openTempDir } from "../../src/model/host-io/temp.ts";
import { openImage } from "../../src/model/image/open-image.ts";
import { codeOfAsync } from "../code-of.ts";
import { writeSmallImage } from "../small-image.ts";

test("copyImage() brings an image into the storage of Podman and out again", async () => {
  await using temp = await openTempDir();
  const written = await writeSmallImage(`oci:${temp.path}/image:one`);
  // The storage itself, and not that of this machine: containers-transports(5).
  const stored = `containers-storage:[vfs@${temp.path}/root+${temp.path}/run]localhost/small:one`;
  await copyImage(`oci:${temp.path}/image:one`, stored);
  await copyImage(stored, `oci:${temp.path}/back:one`);
  await using back = await openImage(`oci:${temp.path}/back:one`);
  expect(back.config.rootfs.diff_ids).toEqual(written.diffIds);
  expect(await codeOfAsync(() => copyImage(`${stored}-not`, `oci:${temp.path}/not`))).toBe("command.failed");
});

test("copyImage() says so when there is no program that knows the storage", async () => {
  await using temp = await openTempDir();
  await writeSmallImage(`oci:${temp.path}/image:one`);
  const path = process.env["PATH"];
  process.env["PATH"] = temp.path;
  try {
    expect(await codeOfAsync(() => copyImage("containers-storage:x", `oci:${temp.path}/x`))).toBe(
      "image.engine-missing",
    );
    const into = () => copyImage(`oci:${temp.path}/image:one`, "containers-storage:x");
    expect(await codeOfAsync(into)).toBe("image.engine-missing");
  } finally {
    process.env["PATH"] = path;
  }
});
