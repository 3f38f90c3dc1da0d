/**
 * tar archives, as OCI layers use them: ustar with PAX and GNU long names.
 *
 *     | header 512 | content, zero-filled to 512 |  header | content | .. | zero block | zero block | ignored ..
 *
 *     x  PAX records about the next entry   "30 mtime=1700000000.123456789\n"
 *     L  GNU long name of the next entry    K  GNU long link target
 *     g  PAX records for the whole archive: read past
 *
 * The reader decodes an entry exactly as composefs-rs (tar-core) does, since the digest of an image depends on it, and
 * refuses what that refuses. Names, link targets and extended attribute values are bytes. It does no I/O: `TarReader`
 * asks for byte ranges, `TarStream` feeds it from chunks. The writer is deterministic.
 *
 * Not supported: sparse files, multi-volume archives, directory dumps; user and group names, access and change times
 * and file flags are read past.
 *
 * @see POSIX.1-2024, pax; GNU tar manual, "Tar Internals"; composefs specification, section 3.2
 */
export type { TarEntry, TarMetadata } from "./entry.ts";
export { encodeGnuSparseHeader, type SparseFile, type SparsePart } from "./gnu-sparse.ts";
export { TAR_BLOCK_SIZE, TAR_EXTENSION_SIZE_MAX, type TarKind } from "./layout.ts";
export { type TarItem, type TarNeed, TarReader } from "./read.ts";
export { type TarSink, TarStream } from "./stream.ts";
export { encodeTarEntry, TAR_END, tarPadding } from "./write.ts";
