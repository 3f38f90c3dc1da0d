/**
 * VHD, fixed: the bytes of a disk, and a footer.
 *
 *     0 .. size    the disk
 *     size         footer, 512 bytes
 *
 * Written: fixed disks, as Azure takes them. Not supported: dynamic and differencing disks, reading.
 *
 * @see Microsoft "Virtual Hard Disk Image Format Specification", version 1.0
 */
export { encodeVhdFooter, VHD_FOOTER_SIZE, type VhdOptions } from "./footer.ts";
