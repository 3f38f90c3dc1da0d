/**
 * FAT: lay out and write a volume for a tree of files, read one.
 *
 *     sector 0    boot sector
 *     1, 6, 7     FSInfo, copies of both              (FAT32)
 *     reserved    FAT, second FAT                     a FAT entry for each cluster: the next one, or the end
 *                 root directory, 512 entries         (FAT16)
 *                 clusters                            directories and files, each in one piece
 *
 * Written: FAT32 wherever there are 65525 clusters, FAT16 below; long names with aliases; times in UTC.
 *
 * Not supported: FAT12, exFAT, sectors other than 512 bytes, code pages (an alias has "_" for what is not ASCII).
 *
 * @see Microsoft "FAT: General Overview of On-Disk Format", version 1.03
 */
export type { FatType } from "./layout.ts";
export { type FatOptions, type FatPlan, planFat } from "./plan.ts";
export { type FatEntry, findFatEntry, readFatDirectory, readFatFile } from "./read.ts";
export type { FatDirectory, FatFile, FatNode } from "./tree.ts";
export { type FatVolume, openFat } from "./volume.ts";
