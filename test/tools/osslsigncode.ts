import { join } from "node:path";
import { unpackDebianFile } from "./debian-file.ts";

/**
 * Path of osslsigncode 2.9, whatever the machine has: 2.5 of Debian 12 refuses most of what sbsign signs, depending on
 * the length of the signature. The libraries come with the machine's package.
 */
export const OSSLSIGNCODE = join(
  await unpackDebianFile({
    path: "pool/main/o/osslsigncode/osslsigncode_2.9-1~bpo12+1_amd64.deb",
    sha1: "e2c2edc0180bd8841ef72c0b2272d01f988522d8",
    sha256: "d867e4f38487eda98ce4400f1e0b96eb947bb170f88481931f6d50b733e9a4df",
  }),
  "usr/bin/osslsigncode",
);
