/**
 * VMDK, streamOptimized: one pass, deflated grains, the tables behind them.
 *
 *     sector 0     header, with the place of the tables left open
 *     1            descriptor: text
 *     128          grains: sector, size, zlib stream, filled to a sector        64 KiB of the disk each
 *                  grain table of the 512 grains before it (32 MiB), with a marker before it
 *     ...
 *                  grain directory with its marker
 *                  footer: the header again, with the place of the directory
 *                  end-of-stream marker
 *
 * Grains and grain tables of zeros are left out. Not supported: the other subformats, reading.
 *
 * @see VMware "Virtual Disk Format 5.0", "Stream-Optimized Compressed Extents"
 */
export { encodeVmdk, type VmdkOptions } from "./write.ts";
