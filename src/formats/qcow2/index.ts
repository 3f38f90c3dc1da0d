/**
 * qcow2 disk images: write one in a single pass, read one by position.
 *
 *     header      cluster 0, written last
 *     clusters    64 KiB each, those of zeros left out; or deflated, one behind the other
 *     L2 tables   entry for each cluster of the disk: where it is
 *     L1 table    entry for each L2 table, 512 MiB of the disk
 *     refcounts   blocks, then their table: how often each cluster of the image is used
 *
 * Written: version 3, clusters of 64 KiB, zlib. Read: versions 2 and 3, clusters of 512 bytes to 2 MiB, zlib.
 *
 * Not supported: backing files, snapshots, encryption, external data files, extended L2 entries, zstd.
 *
 * @see QEMU docs/interop/qcow2.rst
 */
export { openQcow2 } from "./read.ts";
export { encodeQcow2, type Qcow2Options } from "./write.ts";
