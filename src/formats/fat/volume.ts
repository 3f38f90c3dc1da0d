import { type ByteSource, readRange } from "../../lib/bytes/byte-source.ts";
import { type Field, getField, viewOf } from "../../lib/bytes/field.ts";
import { FormatError, UnsupportedError } from "../../lib/errors.ts";
import { clusterOffset, type FatGeometry } from "./geometry.ts";
import {
  BOOT,
  BOOT_SIGNATURE,
  BOOT_TAIL,
  BOOT32,
  DIR_ENTRY_SIZE,
  FAT_ENTRY,
  FAT16_CLUSTERS_MIN,
  FAT32_CLUSTERS_MIN,
  type FatType,
  FIRST_CLUSTER,
  SECTOR_SIZE,
} from "./layout.ts";

/** A FAT volume opened for reading. */
export interface FatVolume {
  readonly source: ByteSource;
  readonly type: FatType;
  readonly clusterSize: number;
  readonly clusterCount: number;
  readonly volumeId: number;
  /** As the boot sector has it, without trailing spaces; `NO NAME` when there is none. */
  readonly label: string;
  /** Where the root directory is: a region in FAT16, a chain in FAT32. */
  readonly root: { readonly kind: "region"; readonly offset: number; readonly size: number } | FatChain;
  /** Byte offset of a cluster in the volume. */
  clusterOffset(cluster: number): number;
  /** The entry of a cluster in the first FAT. */
  nextCluster(cluster: number): number;
}

export interface FatChain {
  readonly kind: "chain";
  readonly cluster: number;
}

/** Bytes of the FAT that are read at a time. */
const FAT_WINDOW = 65_536;

/**
 * Opens a FAT16 or FAT32 volume for reading and checks its boot sector.
 *
 * @throws {FormatError} `fat.truncated`, `fat.boot.*`
 * @throws {UnsupportedError} `fat.unsupported` for FAT12 and for sectors that have not 512 bytes
 * @see FAT specification 1.03, section 3
 */
export function openFat(source: ByteSource): FatVolume {
  const sector = readRange(source, 0, SECTOR_SIZE, "FAT boot sector", "fat.truncated").slice();
  const view = viewOf(sector);
  const refuse = (field: string, at: Field, expected: string): FormatError =>
    new FormatError(field === "signature" ? "fat.boot.signature" : "fat.boot.field", {
      what: `FAT boot sector: ${field}`,
      offset: at[0],
      expected,
      found: `0x${getField(view, at).toString(16)}`,
    });
  const get = (name: keyof typeof BOOT): number => getField(view, BOOT[name]);

  if (get("signature") !== BOOT_SIGNATURE) throw refuse("signature", BOOT.signature, "0xaa55");
  if (get("bytesPerSector") !== SECTOR_SIZE) {
    throw new UnsupportedError("fat.unsupported", `FAT boot sector: ${get("bytesPerSector")} bytes per sector`);
  }
  const sectorsPerCluster = get("sectorsPerCluster");
  if (sectorsPerCluster === 0 || (sectorsPerCluster & (sectorsPerCluster - 1)) !== 0) {
    throw refuse("sectors per cluster", BOOT.sectorsPerCluster, "a power of two");
  }
  if (get("reservedSectors") === 0) throw refuse("reserved sectors", BOOT.reservedSectors, "at least 1");
  if (get("fatCount") === 0) throw refuse("number of FATs", BOOT.fatCount, "at least 1");
  const totalSectors = get("totalSectors16") || get("totalSectors32");
  if (totalSectors * SECTOR_SIZE > source.size) {
    throw refuse("total sectors", BOOT.totalSectors32, `at most ${Math.floor(source.size / SECTOR_SIZE)}`);
  }
  const fatSectors = get("fatSize16") || getField(view, BOOT32.fatSize32);
  const rootSectors = Math.ceil((get("rootEntryCount") * DIR_ENTRY_SIZE) / SECTOR_SIZE);
  const rootSector = get("reservedSectors") + get("fatCount") * fatSectors;
  const dataSector = rootSector + rootSectors;
  // Section 3.5: this number and nothing else decides the type.
  const clusterCount = Math.floor((totalSectors - dataSector) / sectorsPerCluster);
  if (clusterCount < 1) throw refuse("total sectors", BOOT.totalSectors32, `more than ${dataSector}`);
  if (clusterCount < FAT16_CLUSTERS_MIN) {
    throw new UnsupportedError("fat.unsupported", `FAT boot sector: ${clusterCount} clusters make this FAT12`);
  }
  const type: FatType = clusterCount < FAT32_CLUSTERS_MIN ? "fat16" : "fat32";
  const { size, mask } = FAT_ENTRY[type];
  if (fatSectors * SECTOR_SIZE < (clusterCount + FIRST_CLUSTER) * size) {
    throw refuse("FAT size", BOOT32.fatSize32, `entries for ${clusterCount} clusters`);
  }

  const geometry: FatGeometry = {
    type,
    totalSectors,
    sectorsPerCluster,
    reservedSectors: get("reservedSectors"),
    fatSectors,
    rootSectors,
    dataSector,
    clusterCount,
  };
  const tail = BOOT_TAIL[type];
  return {
    source,
    type,
    clusterSize: sectorsPerCluster * SECTOR_SIZE,
    clusterCount,
    volumeId: view.getUint32(tail + 3, true),
    label: Buffer.from(sector.subarray(tail + 7, tail + 18))
      .toString("latin1")
      .trimEnd(),
    root:
      type === "fat16"
        ? { kind: "region", offset: rootSector * SECTOR_SIZE, size: rootSectors * SECTOR_SIZE }
        : { kind: "chain", cluster: getField(view, BOOT32.rootCluster) & mask },
    clusterOffset: (cluster) => clusterOffset(geometry, cluster),
    nextCluster: fatReader(source, geometry),
  };
}

/** Reads entries of the first FAT through a window, so that a chain costs one read for many clusters. */
function fatReader(source: ByteSource, geometry: FatGeometry): (cluster: number) => number {
  const { size, mask } = FAT_ENTRY[geometry.type];
  const start = geometry.reservedSectors * SECTOR_SIZE;
  const fatSize = geometry.fatSectors * SECTOR_SIZE;
  let windowAt = -1;
  let window = viewOf(new Uint8Array(0));
  return (cluster) => {
    const at = cluster * size;
    const wanted = at - (at % FAT_WINDOW);
    if (wanted !== windowAt) {
      // A copy: a source may reuse what it gave.
      const bytes = source.read(start + wanted, Math.min(FAT_WINDOW, fatSize - wanted)).slice();
      window = viewOf(bytes);
      windowAt = wanted;
    }
    return getField(window, [at - windowAt, size]) & mask;
  };
}
