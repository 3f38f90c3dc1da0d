import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ByteString, byteString, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { runCommand } from "./command.ts";
import { openTempDir, type TempDir } from "./temp.ts";
import { openXattrs, parseGetfattr } from "./xattrs.ts";

let temp: TempDir;
beforeEach(async () => {
  temp = await openTempDir("sealwright-test");
});
afterEach(async () => await temp[Symbol.asyncDispose]());

const setfattr = (file: string, name: string, hex: string) =>
  runCommand(["setfattr", "-h", "-n", name, "-v", hex, file]);
const below = (name: string): ByteString => byteString(`${temp.path}/${name}`);

test.each(["libc", "getfattr"] as const)("openXattrs() through %s reads names and values as bytes", async (through) => {
  await mkdir(`${temp.path}/dir\\with\nodd`);
  await writeFile(`${temp.path}/plain`, "");
  await writeFile(`${temp.path}/größe`, "");
  await symlink("plain", `${temp.path}/link`);
  await setfattr(`${temp.path}/größe`, "user.all", "0x000a0d3dff5c80");
  await setfattr(`${temp.path}/größe`, 'user.od=d"\\name\n', "0x01");
  await setfattr(`${temp.path}/größe`, "user.größe", `0x${"ab".repeat(2000)}`);
  await setfattr(`${temp.path}/größe`, "user.empty", '""');
  await setfattr(`${temp.path}/dir\\with\nodd`, "user.d", "0x02");

  const read = await openXattrs(byteString(temp.path), { through });
  expect(read(below("plain")).size).toBe(0);
  expect(read(below("link")).size).toBe(0);
  expect(read(below("größe"))).toEqual(
    new Map([
      [byteString("user.all"), "\x00\n\r=\xff\\\x80"],
      [byteString('user.od=d"\\name\n'), "\x01"],
      [byteString("user.größe"), "\xab".repeat(2000)],
      [byteString("user.empty"), ""],
    ]),
  );
  expect(read(below("dir\\with\nodd"))).toEqual(new Map([["user.d", "\x02"]]));
});

test.each(["libc", "getfattr"] as const)(
  "openXattrs() through %s reads files whose names are not UTF-8",
  async (through) => {
    const path = Buffer.concat([Buffer.from(`${temp.path}/`), Buffer.from([0xff, 0xfe])]);
    await writeFile(path, "");
    const script = "import os,sys; os.setxattr(os.fsencode(sys.argv[1]) + b'/\\xff\\xfe', 'user.x', b'\\x00\\xff')";
    await runCommand(["python3", "-c", script, temp.path]);
    const read = await openXattrs(byteString(temp.path), { through });
    expect(read(bytesToByteString(path))).toEqual(new Map([["user.x", "\x00\xff"]]));
  },
);

test.runIf(process.getuid?.() === 0).each(["libc", "getfattr"] as const)(
  "openXattrs() through %s reads capabilities and what belongs to the kernel and a link, as root",
  async (through) => {
    await writeFile(`${temp.path}/cap`, "");
    await symlink("cap", `${temp.path}/link`);
    await runCommand(["setcap", "cap_net_raw+ep", `${temp.path}/cap`]);
    await setfattr(`${temp.path}/link`, "trusted.overlay.x", "0x79");
    const read = await openXattrs(byteString(temp.path), { through });
    expect([...read(below("cap")).keys()]).toEqual(["security.capability"]);
    expect(read(below("link"))).toEqual(new Map([["trusted.overlay.x", "y"]]));
  },
);

test("openXattrs() through libc says when a file is gone", async () => {
  const read = await openXattrs(byteString(temp.path), { through: "libc" });
  await rm(temp.path, { recursive: true });
  expect(() => read(below("x"))).toThrow(expect.objectContaining({ code: "input.not-found" }));
});

test.each([["# file: a\nuser.x=0xzz\n"], ["# file: a\nuser.x\n"], ["user.x=0x00\n"]])(
  "parseGetfattr(%j) refuses",
  (text) => {
    expect(() => parseGetfattr(text as ByteString)).toThrow(
      expect.objectContaining({ code: "xattrs.getfattr-output" }),
    );
  },
);
