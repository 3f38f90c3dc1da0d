/**
 * Split streams: a file, mostly a tar, in which large contents are replaced by references to objects; concatenated
 * again it is the original, byte for byte. The repositories of composefs-rs keep layers, configs and manifests so.
 *
 *     header        "SplitStream", version, hash, place of the info section
 *     info          places of the other sections, content type, size of the original
 *     stream refs   digests of other streams and images
 *     object refs   digests of the contents that were taken out, in order of first use
 *     named refs    zstd: "index:name\0", index into the stream refs
 *     stream        zstd: int64 -n and n bytes, or int64 n: the n-th object
 *
 * The id of a stream depends on the zstd that compressed it: it says nothing when it is compared with another's.
 *
 * Not supported: the header of composefs-rs before 2026, in which the fields have other places.
 *
 * @see composefs specification, section 8.3
 */
export { CONTENT_TYPES } from "./layout.ts";
export { parseSplitStream, readSplitStream, type SplitStream, type SplitStreamChunk } from "./read.ts";
export { type SplitStreamRefs, SplitStreamWriter } from "./write.ts";
