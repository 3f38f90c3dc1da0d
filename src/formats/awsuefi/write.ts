import { deflateSync } from "node:zlib";
import { crc32cOf } from "../../lib/bytes/crc32c.ts";
import {
  CHECKED_FROM,
  DIGEST_SIZE,
  HEADER_SIZE,
  MAGIC,
  TIME_BASED_AUTHENTICATION,
  TIME_SIZE,
  VERSION,
} from "./layout.ts";
import type { AwsVariable } from "./read.ts";

/** @returns bytes; EC2 takes them in base64 */
export function encodeAwsVariables(variables: readonly AwsVariable[]): Uint8Array {
  const plain = Buffer.concat([u64(variables.length), ...variables.flatMap(encodeVariable)]);
  const header = Buffer.alloc(HEADER_SIZE);
  header.write(MAGIC, "latin1");
  header.writeUInt32LE(VERSION, 12);
  const bytes = Buffer.concat([header, deflateSync(plain, { level: 9 })]);
  bytes.writeUInt32LE(crc32cOf(bytes.subarray(CHECKED_FROM)), 8);
  return bytes;
}

function encodeVariable({ attributes, data, digest, name, time, vendor }: AwsVariable): Uint8Array[] {
  const word = Buffer.alloc(4);
  word.writeUInt32LE(attributes);
  const fields = [...counted(Buffer.from(name)), ...counted(data), vendor, word];
  if ((attributes & TIME_BASED_AUTHENTICATION) === 0) return fields;
  return [...fields, time ?? new Uint8Array(TIME_SIZE), ...counted(digest ?? new Uint8Array(DIGEST_SIZE))];
}

const counted = (bytes: Uint8Array): Uint8Array[] => [u64(bytes.length), bytes];

function u64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
