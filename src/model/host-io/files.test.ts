import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runCommand } from "./command.ts";
import { loadFile, openInputFile, openOutputFile, storeFile, streamFile } from "./files.ts";
import { openTempDir, openTempDirBeside, type TempDir } from "./temp.ts";

let temp: TempDir;
const at = (name: string): string => `${temp.path}/${name}`;
beforeEach(async () => {
  temp = await openTempDir("sealwright-test");
});
afterEach(async () => await temp[Symbol.asyncDispose]());

async function* chunks(...parts: string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield await Promise.resolve(Buffer.from(part));
}

async function* failing(): AsyncGenerator<Uint8Array> {
  yield* chunks("half");
  throw new RangeError("source");
}

test("storeFile() writes bytes or a stream, with the mode that was asked for", async () => {
  await storeFile(at("key"), Buffer.from("secret"), { mode: 0o600 });
  await storeFile(at("text"), chunks("a", "", "bc"));
  expect((await stat(at("key"))).mode & 0o777).toBe(0o600);
  expect(await readFile(at("text"), "utf8")).toBe("abc");
  expect((await readdir(temp.path)).toSorted()).toEqual(["key", "text"]);
});

test("storeFile() replaces a file only when asked to", async () => {
  await storeFile(at("x"), Buffer.from("1"));
  await expect(storeFile(at("x"), Buffer.from("2"))).rejects.toMatchObject({ code: "output.exists", exitCode: 74 });
  await storeFile(at("x"), Buffer.from("3"), { overwrite: true });
  expect(await readFile(at("x"), "utf8")).toBe("3");
});

test("storeFile() takes a dangling symbolic link for a file that is there", async () => {
  await symlink(at("nowhere"), at("link"));
  await expect(storeFile(at("link"), Buffer.from("x"))).rejects.toMatchObject({ code: "output.exists" });
  await storeFile(at("link"), Buffer.from("x"), { overwrite: true });
  expect(await readdir(temp.path)).toEqual(["link"]);
});

test("storeFile() leaves nothing when its source fails, and the file that was there", async () => {
  await writeFile(at("x"), "before");
  await expect(storeFile(at("x"), failing(), { overwrite: true })).rejects.toThrow(RangeError);
  expect(await readFile(at("x"), "utf8")).toBe("before");
  expect(await readdir(temp.path)).toEqual(["x"]);
});

test.each([
  ["/proc/x/y", "output.unwritable"],
  ["/etc/passwd/x", "output.unwritable"],
  [`/tmp/${"x".repeat(300)}`, "output.unwritable"],
])("storeFile(%s) refuses with %s", async (path, code) => {
  await expect(storeFile(path, Buffer.from("x"))).rejects.toMatchObject({ code });
});

test("openOutputFile() forgets what was cut off", async () => {
  {
    await using output = await openOutputFile(at("x"));
    await output.write(Buffer.from("0123456789"));
    await output.truncate(4);
    await output.write(Buffer.from("ab"));
    await output.replace(0, Buffer.from("_"));
    expect(output.size).toBe(6);
    await output.commit();
  }
  expect(await readFile(at("x"), "utf8")).toBe("_123ab");
});

test("streamFile() gives a part of a file in chunks that stay valid", async () => {
  const bytes = Buffer.alloc(1_000_000);
  bytes.forEach((_, index) => bytes.writeUInt8(index % 251, index));
  await writeFile(at("x"), bytes);
  const got: Uint8Array[] = [];
  for await (const chunk of streamFile(at("x"), 100, 900_000, "test")) got.push(chunk);
  expect(Buffer.concat(got).equals(bytes.subarray(100, 900_100))).toBe(true);
  const tooFar = async (): Promise<void> => {
    for await (const _ of streamFile(at("x"), 999_999, 2, "test"));
  };
  await expect(tooFar()).rejects.toMatchObject({ code: "input.truncated" });
});

test("openInputFile() names what is no file, without waiting for it", async () => {
  await mkdir(at("dir"));
  await runCommand(["mkfifo", at("fifo")]);
  for (const name of ["dir", "fifo"]) {
    await expect(openInputFile(at(name), "test")).rejects.toMatchObject({ code: "input.not-a-file" });
  }
  await expect(openInputFile(at("absent"), "test")).rejects.toMatchObject({ code: "input.not-found", exitCode: 66 });
});

test("loadFile() refuses more than its limit", async () => {
  await writeFile(at("x"), "12345");
  expect(await loadFile(at("x"), "test", 5, "test.too-large")).toEqual(Buffer.from("12345"));
  await expect(loadFile(at("x"), "test", 4, "test.too-large")).rejects.toMatchObject({ code: "test.too-large" });
});

test("openTempDirBeside() goes with all that is in it, protected files too", async () => {
  {
    await using dir = await openTempDirBeside(at("target"));
    await mkdir(`${dir.path}/a`);
    await writeFile(`${dir.path}/a/b`, "");
    await chmod(`${dir.path}/a/b`, 0o400);
    expect((await stat(dir.path)).mode & 0o777).toBe(0o700);
  }
  expect(await readdir(temp.path)).toEqual([]);
});
