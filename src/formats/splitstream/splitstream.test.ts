import * as fc from "fast-check";
import { expect, test } from "vitest";
import { codeOf } from "../../../test/code-of.ts";
import { FormatError } from "../../lib/errors.ts";
import { CONTENT_TYPES, parseSplitStream, readSplitStream, SplitStreamWriter } from "./index.ts";

const digest = (fill: number): Uint8Array => new Uint8Array(64).fill(fill);

async function sample(): Promise<Uint8Array> {
  const writer = new SplitStreamWriter(CONTENT_TYPES.layer, "sha512");
  writer.inline(Buffer.from("head"));
  writer.inline(Buffer.from("er"));
  writer.external(digest(1), 100);
  writer.external(digest(2), 200);
  writer.external(digest(1), 100);
  writer.inline(Buffer.from("end"));
  return await writer.finish(
    new Map([
      ["second", digest(7)],
      ["first", digest(8)],
      ["same", digest(7)],
    ]),
  );
}

test("parseSplitStream() and readSplitStream() give back what a SplitStreamWriter was given", async () => {
  const stream = parseSplitStream(await sample());
  expect(stream).toMatchObject({ algorithm: "sha512", contentType: "ocilayer", size: 409 });
  expect(stream.objectRefs.map(([first]) => first)).toEqual([1, 2]);
  expect(stream.streamRefs.map(([first]) => first)).toEqual([7, 8]);
  expect([...stream.namedRefs].map(([name, [first]]) => [name, first])).toEqual([
    ["first", 8],
    ["same", 7],
    ["second", 7],
  ]);
  const chunks = [...readSplitStream(stream)].map((chunk) =>
    "inline" in chunk ? Buffer.from(chunk.inline).toString() : chunk.object[0],
  );
  expect(chunks).toEqual(["header", 1, 2, 1, "end"]);
});

test("SplitStreamWriter lays the header out as the specification has it", async () => {
  const bytes = Buffer.from(await sample());
  expect(bytes.subarray(0, 32).toString("hex")).toBe(
    `${Buffer.from("SplitStream").toString("hex")}00 0000 02 0c 2000000000000000 7000000000000000`.replaceAll(" ", ""),
  );
  // Stream refs, object refs and named refs follow the info section without a gap.
  expect([32, 40, 48, 56].map((at) => Number(bytes.readBigUInt64LE(at)))).toEqual([112, 240, 240, 368]);
  expect(Number(bytes.readBigUInt64LE(80))).toBe(368);
  expect(Number(bytes.readBigUInt64LE(64))).toBe(Number(bytes.readBigUInt64LE(88)));
});

test("SplitStreamWriter gives the same bytes however fast its chunks come", async () => {
  const slow = async (): Promise<Uint8Array> => {
    const writer = new SplitStreamWriter(CONTENT_TYPES.layer, "sha256");
    for (let i = 0; i < 50; i++) {
      writer.inline(Buffer.alloc(3000, `${i} `));
      writer.external(new Uint8Array(32).fill(i), 5);
      if (i % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      await writer.drained();
    }
    return await writer.finish();
  };
  const quick = async (): Promise<Uint8Array> => {
    const writer = new SplitStreamWriter(CONTENT_TYPES.layer, "sha256");
    for (let i = 0; i < 50; i++) {
      writer.inline(Buffer.alloc(3000, `${i} `));
      writer.external(new Uint8Array(32).fill(i), 5);
    }
    return await writer.finish();
  };
  expect(Buffer.compare(await slow(), await quick())).toBe(0);
});

const patched = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
  const copy = new Uint8Array(bytes);
  copy[at] = value;
  return copy;
};

test.each<[string, (bytes: Uint8Array) => Uint8Array, string]>([
  ["no bytes", () => new Uint8Array(0), "splitstream.magic"],
  ["another magic", (bytes) => patched(bytes, 0, 0x73), "splitstream.magic"],
  ["another version", (bytes) => patched(bytes, 11, 1), "splitstream.version"],
  ["another hash", (bytes) => patched(bytes, 14, 3), "splitstream.algorithm"],
  ["another block size", (bytes) => patched(bytes, 15, 16), "splitstream.algorithm"],
  ["a short info section", (bytes) => patched(bytes, 24, 0x6f), "splitstream.section"],
  ["a section beyond the end", (bytes) => patched(bytes, 45, 1), "splitstream.section"],
  ["half a digest", (bytes) => patched(bytes, 40, 239), "splitstream.refs"],
  ["named refs that are no zstd", (bytes) => patched(bytes, 368, 0), "splitstream.zstd"],
])("parseSplitStream() refuses %s", async (_, change, code) => {
  const bytes = await sample();
  expect(codeOf(() => parseSplitStream(change(bytes)))).toBe(code);
});

test("the reader answers changed bytes with a value or a FormatError", async () => {
  const bytes = await sample();
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
      try {
        for (const _ of readSplitStream(parseSplitStream(patched(bytes, at, value)))) continue;
      } catch (error) {
        expect(error).toBeInstanceOf(FormatError);
      }
    }),
    { numRuns: 500 },
  );
});
