import { alignUp } from "../../lib/bytes/numbers.ts";
import { FormatError } from "../../lib/errors.ts";
import {
  DIR_ENTRY_SIZE,
  FAT_COUNT,
  FAT_ENTRY,
  FAT16_CLUSTERS_MIN,
  FAT32_CLUSTERS_MAX,
  FAT32_CLUSTERS_MIN,
  type FatType,
  FIRST_CLUSTER,
  ROOT_ENTRY_COUNT,
  SECTOR_SIZE,
} from "./layout.ts";

/** Where the parts of a volume are, in sectors. */
export interface FatGeometry {
  readonly type: FatType;
  readonly totalSectors: number;
  readonly sectorsPerCluster: number;
  readonly reservedSectors: number;
  readonly fatSectors: number;
  /** The root directory of FAT16; 0 sectors in FAT32. */
  readonly rootSectors: number;
  readonly dataSector: number;
  readonly clusterCount: number;
}

const MIB = 1 << 20;

/** Cluster sizes in sectors, from the table in section 3.5 of the specification, which mkfs.fat follows as well. */
const SECTORS_PER_CLUSTER: Readonly<Record<FatType, readonly (readonly [sizeUpTo: number, sectors: number])[]>> = {
  fat16: [
    [16 * MIB, 2],
    [128 * MIB, 4],
    [256 * MIB, 8],
    [512 * MIB, 16],
    [1024 * MIB, 32],
    [2048 * MIB, 64],
  ],
  fat32: [
    [260 * MIB, 1],
    [8 * 1024 * MIB, 8],
    [16 * 1024 * MIB, 16],
    [32 * 1024 * MIB, 32],
    [Number.POSITIVE_INFINITY, 64],
  ],
};

/** 2^32 - 1 sectors: just below 2 TiB. */
const TOTAL_SECTORS_MAX = 0xffff_ffff;

/**
 * Divides a volume: FAT32 wherever there are enough clusters for it, else FAT16.
 *
 * @param size bytes; what is beyond the last whole sector stays unused
 * @throws {FormatError} `fat.too-small`, `fat.too-large`
 */
export function computeGeometry(size: number): FatGeometry {
  const totalSectors = Math.floor(size / SECTOR_SIZE);
  if (totalSectors > TOTAL_SECTORS_MAX) {
    throw new FormatError("fat.too-large", {
      what: "FAT size",
      expected: `at most ${TOTAL_SECTORS_MAX} sectors`,
      found: `${totalSectors} sectors`,
    });
  }
  const geometry = divide("fat32", totalSectors) ?? divide("fat16", totalSectors) ?? divide("fat16", totalSectors, 1);
  if (geometry === undefined) {
    throw new FormatError("fat.too-small", {
      what: "FAT size",
      expected: `room for ${FAT16_CLUSTERS_MIN} clusters of ${SECTOR_SIZE} bytes`,
      found: `${size} bytes`,
    });
  }
  return geometry;
}

/** Undefined when the type cannot have the number of clusters that comes out. */
function divide(type: FatType, totalSectors: number, clusterSectors?: number): FatGeometry | undefined {
  const size = totalSectors * SECTOR_SIZE;
  const sectorsPerCluster = clusterSectors ?? SECTORS_PER_CLUSTER[type].find(([upTo]) => size <= upTo)?.[1];
  if (sectorsPerCluster === undefined) return undefined;
  // Reserved sectors and both FATs are whole clusters, so that clusters of 4 KiB stay aligned to 4 KiB.
  const reservedSectors = alignUp(type === "fat32" ? 32 : 1, sectorsPerCluster);
  const rootSectors = type === "fat32" ? 0 : (ROOT_ENTRY_COUNT * DIR_ENTRY_SIZE) / SECTOR_SIZE;
  const bytesPerCluster = FAT_COUNT * FAT_ENTRY[type].size + sectorsPerCluster * SECTOR_SIZE;
  const forClusters = (totalSectors - reservedSectors - rootSectors) * SECTOR_SIZE;
  // As many entries as there could be clusters if the FATs were not rounded up: enough, at most a few too many.
  const entries = Math.ceil(forClusters / bytesPerCluster) + FIRST_CLUSTER;
  const fatSectors = alignUp(Math.ceil((entries * FAT_ENTRY[type].size) / SECTOR_SIZE), sectorsPerCluster);
  const dataSector = reservedSectors + FAT_COUNT * fatSectors + rootSectors;
  const clusterCount = Math.floor((totalSectors - dataSector) / sectorsPerCluster);
  const [min, max] =
    type === "fat32" ? [FAT32_CLUSTERS_MIN, FAT32_CLUSTERS_MAX] : [FAT16_CLUSTERS_MIN, FAT32_CLUSTERS_MIN - 1];
  if (clusterCount < min || clusterCount > max) return undefined;
  return {
    type,
    totalSectors,
    sectorsPerCluster,
    reservedSectors,
    fatSectors,
    rootSectors,
    dataSector,
    clusterCount,
  };
}

/** Byte offset of a cluster in the volume. */
export function clusterOffset(geometry: FatGeometry, cluster: number): number {
  return (geometry.dataSector + (cluster - FIRST_CLUSTER) * geometry.sectorsPerCluster) * SECTOR_SIZE;
}
