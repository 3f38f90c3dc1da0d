import { parsePe, sectionContent } from "../../formats/pe/index.ts";

/**
 * The version that systemd-boot says of itself: `#### LoaderInfo: systemd-boot 257.13-1 ####` in its `.sdmagic`.
 *
 * @throws {FormatError} `pe.…`
 */
export function findLoaderVersion(bytes: Uint8Array): string | undefined {
  const pe = parsePe(bytes);
  const magic = pe.sections.find(({ name }) => name === ".sdmagic");
  if (magic === undefined) return undefined;
  const text = Buffer.from(sectionContent(pe, magic)).toString("latin1");
  return /LoaderInfo: systemd-boot ([!-~]{1,80}) /.exec(text)?.[1];
}
