/** The addons that an image offers: each signed, and none that makes a host boot something else. */
import { verifyPe } from "../../formats/authenticode/index.ts";
import { findText, parseUki, type Uki } from "../../formats/uki/index.ts";
import type { Certificate } from "../../formats/x509/index.ts";
import { FormatError, quote } from "../../lib/errors.ts";
import { findUkis, type OsFile } from "../../model/os/index.ts";
import type { ImageTree } from "../../model/source/tree-source.ts";
import { describeSigner } from "../../model/verdict/describe.ts";
import { describeAddon, requireSoundAddon } from "../../model/verdict/sound-addon.ts";
import type { VerdictBuilder } from "../../model/verdict/verdict.ts";
import type { LinkName } from "./verdict.ts";

/**
 * Says of each addon what it is, under the link of the UKI. An image without any adds nothing.
 *
 * @param uki of the same image
 */
export async function verifyAddons(
  verdict: VerdictBuilder<LinkName>,
  source: ImageTree,
  uki: Uki,
  db: readonly Certificate[],
): Promise<void> {
  const files = findUkis(source.tree).filter(({ kind }) => kind !== "uki");
  const contents = await source.read(files.map(({ content }) => content));
  for (const [index, file] of files.entries()) {
    const bytes = contents[index] as Uint8Array;
    const sound = await verdict.check(
      "uki",
      () => verifyAddon(file, bytes, db),
      ({ shown }) => shown,
    );
    for (const problem of sound?.problems ?? []) verdict.warn("uki", problem);
    if (sound !== undefined) warnOfOtherKernel(verdict, file.path, sound.addon, uki);
  }
}

function verifyAddon({ path }: OsFile, bytes: Uint8Array, db: readonly Certificate[]) {
  const evidence = verifyPe(bytes, { db: { certificates: db } });
  const addon = parseUki(bytes);
  if (addon.kind !== "addon") {
    throw new FormatError("addon.kind", { what: path, expected: "an addon", found: `a ${addon.kind}` });
  }
  const problems = requireSoundAddon(addon, path);
  return { addon, problems, shown: `${describeAddon(addon, path)}, ${describeSigner(evidence)}` };
}

/** The stub passes over an addon whose `.uname` is another than the UKI's. */
function warnOfOtherKernel(verdict: VerdictBuilder<LinkName>, path: string, addon: Uki, uki: Uki): void {
  const [own, wanted] = [findText(addon, ".uname")?.trim(), findText(uki, ".uname")?.trim()];
  if (own === undefined || wanted === undefined || own === wanted) return;
  const message = `${path}: for kernel ${quote(own)}, which is not that of the UKI (${quote(wanted)}): it has no effect`;
  verdict.warn("uki", { code: "addon.other-kernel", message });
}
