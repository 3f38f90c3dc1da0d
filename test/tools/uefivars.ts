/** Amazon's python-uefivars, from PyPI, beside the project: the judge of UEFI data for EC2. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const place = fileURLToPath(new URL("../../.cache/uefivars-1.2", import.meta.url));

/** Pinned. The checksum is Google's, compiled. */
const REQUIREMENTS = ["uefivars==1.2", "google-crc32c==1.9.0"];

async function install(): Promise<string> {
  if (existsSync(place)) return place;
  const own = `${place}.${process.pid}`;
  await mkdir(own, { recursive: true });
  try {
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target", own];
    execFileSync("/usr/bin/python3", [...pip, ...REQUIREMENTS], { stdio: "pipe" });
    await rename(own, place).catch((error: unknown) => {
      if (!existsSync(place)) throw error;
    });
  } finally {
    await rm(own, { recursive: true, force: true });
  }
  return place;
}

/** What its reader finds: name, vendor, attributes, data, each in hex. Throws what it complains about. */
const READ = `
import sys, json
sys.path.insert(0, sys.argv[1])
import types
package = types.ModuleType("pyuefivars"); package.__path__ = [sys.argv[1] + "/pyuefivars"]
sys.modules["pyuefivars"] = package
from pyuefivars.aws import AWSUEFIVarStore
store = AWSUEFIVarStore(open(sys.argv[2], "rb").read())
if len(sys.argv) > 3: open(sys.argv[3], "wb").write(bytes(store))
json.dump([{"name": v.name, "vendor": v.guid.hex(), "attributes": v.attr, "data": v.data.hex(),
  "time": (v.timestamp or b"").hex()} for v in store.vars], sys.stdout)
`;

export interface UefivarsVariable {
  readonly name: string;
  readonly vendor: string;
  readonly attributes: number;
  readonly data: string;
  readonly time: string;
}

/** @param rewrite where it shall write the same variables again, in its own way */
export async function readWithUefivars(file: string, rewrite?: string): Promise<UefivarsVariable[]> {
  const directory = await install();
  const script = `${directory}/read-aws.py`;
  if (!existsSync(script)) await writeFile(script, READ);
  const args = [script, directory, file, ...(rewrite === undefined ? [] : [rewrite])];
  const { status, stderr, stdout } = spawnSync("/usr/bin/python3", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as UefivarsVariable[];
}
