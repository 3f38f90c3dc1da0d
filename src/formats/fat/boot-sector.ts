import { setField, viewOf } from "../../lib/bytes/field.ts";
import type { FatGeometry } from "./geometry.ts";
import {
  BACKUP_BOOT_SECTOR,
  BOOT,
  BOOT_SIGNATURE,
  BOOT_TAIL,
  BOOT32,
  FAT_COUNT,
  INFO,
  INFO_SECTOR,
  INFO_SIGNATURES,
  MEDIA_FIXED,
  ROOT_CLUSTER,
  ROOT_ENTRY_COUNT,
  SECTOR_SIZE,
} from "./layout.ts";

/** A geometry no BIOS disk has today; firmware reads by LBA. */
const SECTORS_PER_TRACK = 63;
const HEADS = 255;
const DRIVE_FIXED = 0x80;
const EXTENDED_SIGNATURE = 0x29;
/** Label field of a volume without label. */
const NO_NAME = "NO NAME    ";

export function encodeBootSector(
  geometry: FatGeometry,
  identity: { readonly volumeId: number; readonly label: string; readonly hiddenSectors?: number },
): Uint8Array {
  const sector = new Uint8Array(SECTOR_SIZE);
  const view = viewOf(sector);
  const is32 = geometry.type === "fat32";
  const fits16 = !is32 && geometry.totalSectors < 0x1_0000;
  const tail = BOOT_TAIL[geometry.type];
  // A jump behind the fields, as the specification demands, to an endless loop: nothing boots from here.
  sector.set([0xeb, tail + 26 - 2, 0x90]);
  sector.set([0xeb, 0xfe], tail + 26);
  sector.set(Buffer.from("MSWIN4.1", "latin1"), 3); // what the specification recommends for the widest reading
  setField(view, BOOT.bytesPerSector, SECTOR_SIZE);
  setField(view, BOOT.sectorsPerCluster, geometry.sectorsPerCluster);
  setField(view, BOOT.reservedSectors, geometry.reservedSectors);
  setField(view, BOOT.fatCount, FAT_COUNT);
  setField(view, BOOT.rootEntryCount, is32 ? 0 : ROOT_ENTRY_COUNT);
  setField(view, BOOT.totalSectors16, fits16 ? geometry.totalSectors : 0);
  setField(view, BOOT.media, MEDIA_FIXED);
  setField(view, BOOT.fatSize16, is32 ? 0 : geometry.fatSectors);
  setField(view, BOOT.sectorsPerTrack, SECTORS_PER_TRACK);
  setField(view, BOOT.headCount, HEADS);
  setField(view, BOOT.hiddenSectors, identity.hiddenSectors ?? 0);
  setField(view, BOOT.totalSectors32, fits16 ? 0 : geometry.totalSectors);
  if (is32) {
    setField(view, BOOT32.fatSize32, geometry.fatSectors);
    setField(view, BOOT32.rootCluster, ROOT_CLUSTER);
    setField(view, BOOT32.infoSector, INFO_SECTOR);
    setField(view, BOOT32.backupBootSector, BACKUP_BOOT_SECTOR);
  }
  sector[tail] = DRIVE_FIXED;
  sector[tail + 2] = EXTENDED_SIGNATURE;
  view.setUint32(tail + 3, identity.volumeId, true);
  const label = identity.label === "" ? NO_NAME : identity.label;
  sector.set(Buffer.from(label + (is32 ? "FAT32   " : "FAT16   "), "latin1"), tail + 7);
  setField(view, BOOT.signature, BOOT_SIGNATURE);
  return sector;
}

export function encodeInfoSector(freeClusters: number, nextFree: number): Uint8Array {
  const sector = new Uint8Array(SECTOR_SIZE);
  const view = viewOf(sector);
  setField(view, INFO.leadSignature, INFO_SIGNATURES.lead);
  setField(view, INFO.structSignature, INFO_SIGNATURES.struct);
  setField(view, INFO.freeCount, freeClusters);
  setField(view, INFO.nextFree, nextFree);
  setField(view, INFO.trailSignature, INFO_SIGNATURES.trail);
  return sector;
}
