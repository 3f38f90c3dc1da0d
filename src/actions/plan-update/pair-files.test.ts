import { expect, test } from "vitest";
import type { ByteString } from "../../lib/bytes/byte-string.ts";
import type { StoredObject, TreeFiles } from "./objects.ts";
import { OldFiles } from "./pair-files.ts";

function filesOf(sizes: Readonly<Record<string, number>>): TreeFiles {
  const files = new Map(
    Object.entries(sizes).map(([path, size]): [ByteString, StoredObject] => [
      path as ByteString,
      { path: path as ByteString, size, content: { kind: "sparse", size: BigInt(size) } },
    ]),
  );
  return { files, objects: files };
}

const old = {
  "usr/bin/bash": 100,
  "usr/lib/modules/6.12.9+deb13-amd64/kernel/fs/ext4.ko": 100,
  "usr/lib/modules/6.11.2+deb13-amd64/kernel/fs/ext4.ko": 90,
  "usr/lib/libfoo.so.1.0.2k": 100,
  "usr/lib/libicudata.so.72.1": 3000,
  "usr/lib/python3.12/os.py": 10,
  "usr/lib/stays.conf": 10,
  "usr/share/a-1/x": 5,
  "usr/share/a-2/x": 50,
};

test.each([
  ["usr/bin/bash", 100, "usr/bin/bash"],
  ["usr/lib/modules/6.12.10+deb13-amd64/kernel/fs/ext4.ko", 99, "usr/lib/modules/6.12.9+deb13-amd64/kernel/fs/ext4.ko"],
  ["usr/lib/modules/6.11.3+deb13-amd64/kernel/fs/ext4.ko", 91, "usr/lib/modules/6.11.2+deb13-amd64/kernel/fs/ext4.ko"],
  ["usr/lib/libfoo.so.1.0.2l", 100, "usr/lib/libfoo.so.1.0.2k"],
  ["usr/lib/x86_64-linux-gnu/libicudata.so.76", 3000, "usr/lib/libicudata.so.72.1"],
  ["usr/lib/python3.13/os.py", 12, "usr/lib/python3.12/os.py"],
  ["usr/share/a-3/x", 45, "usr/share/a-2/x"],
  // What is still there is nobody else's ancestor.
  ["etc/stays.conf", 10, undefined],
  ["usr/bin/zsh", 100, undefined],
])("find(%s) of %i bytes", (path, size, base) => {
  const wanted = filesOf({ [path]: size, "usr/lib/stays.conf": 10 });
  const files = new OldFiles(filesOf(old), wanted);
  expect(files.find(wanted.files.get(path as ByteString) as StoredObject)?.path).toBe(base);
});
