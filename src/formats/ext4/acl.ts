/**
 * POSIX ACLs: user space sees version 2 with an id in every entry, the disk has version 1 with ids only where they
 * say something.
 *
 * @see Linux include/uapi/linux/posix_acl_xattr.h and fs/ext4/acl.h
 */
import { type ByteString, byteStringToBytes, bytesToByteString } from "../../lib/bytes/byte-string.ts";
import { viewOf } from "../../lib/bytes/field.ts";
import { FormatError } from "../../lib/errors.ts";

const XATTR_VERSION = 2;
const DISK_VERSION = 1;
/** ACL_USER and ACL_GROUP name someone. */
const hasId = (tag: number): boolean => tag === 0x02 || tag === 0x08;
const NO_ID = 0xffff_ffff;

/** @throws {FormatError} `ext4.acl` */
export function toDiskAcl(value: ByteString): ByteString {
  const bytes = byteStringToBytes(value);
  const view = viewOf(bytes);
  if (bytes.length < 4 || bytes.length % 8 !== 4 || view.getUint32(0, true) !== XATTR_VERSION) throw malformed(bytes);
  const disk = [u32(DISK_VERSION)];
  for (let at = 4; at < bytes.length; at += 8) {
    disk.push(bytes.subarray(at, at + (hasId(view.getUint16(at, true)) ? 8 : 4)));
  }
  return bytesToByteString(Buffer.concat(disk));
}

/** @throws {FormatError} `ext4.acl` */
export function fromDiskAcl(value: ByteString): ByteString {
  const bytes = byteStringToBytes(value);
  const view = viewOf(bytes);
  if (bytes.length < 4 || view.getUint32(0, true) !== DISK_VERSION) throw malformed(bytes);
  const xattr = [u32(XATTR_VERSION)];
  for (let at = 4; at < bytes.length; ) {
    const size = at + 4 <= bytes.length && hasId(view.getUint16(at, true)) ? 8 : 4;
    if (at + size > bytes.length) throw malformed(bytes);
    xattr.push(bytes.subarray(at, at + size));
    if (size === 4) xattr.push(u32(NO_ID));
    at += size;
  }
  return bytesToByteString(Buffer.concat(xattr));
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
}

function malformed(bytes: Uint8Array): FormatError {
  return new FormatError("ext4.acl", {
    what: "POSIX ACL",
    expected: "a version and whole entries",
    found: Buffer.from(bytes.subarray(0, 40)).toString("hex"),
  });
}
