import { parsePe } from "../../formats/pe/index.ts";
import { findMagic } from "../../formats/uki/index.ts";

/**
 * The version that systemd-boot says of itself: `#### LoaderInfo: systemd-boot 257.13-1 ####` in its `.sdmagic`.
 *
 * @throws {FormatError} `pe.…`
 */
export function findLoaderVersion(bytes: Uint8Array): string | undefined {
  return /LoaderInfo: systemd-boot ([!-~]{1,80}) /.exec(findMagic(parsePe(bytes)) ?? "")?.[1];
}
