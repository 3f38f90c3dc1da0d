/** Kernel arguments of an unsealed deployment that follows another: what somebody gave that one stays. */
import {
  type ComposefsArgument,
  findComposefsArguments,
  parseCommandLine,
  parseKargsToml,
} from "../../../formats/uki/index.ts";
import { toHex } from "../../../lib/bytes/numbers.ts";
import { objectPath } from "../../../model/composefs/overlay.ts";
import { listKargsFiles, type OsFile, type OsProblem } from "../../../model/os/index.ts";
import { OBJECTS } from "../../../model/repository/index.ts";
import type { Tree } from "../../../model/tree/tree.ts";
import type { BootParts } from "../boot-parts.ts";
import { ALGORITHM } from "../load-deployment.ts";
import { at } from "../root-tree.ts";
import type { TreeBuilder } from "../tree-builder.ts";
import { readTreeFile } from "./stored-disk.ts";

export interface KeptArguments {
  readonly kernelArguments: readonly string[];
  /** The entry before had `composefs=?`. */
  readonly allowMissingVerity: boolean;
  readonly warnings: readonly OsProblem[];
}

/**
 * Takes what is neither the digest nor `rw`, nor from the kargs.d of the image that is followed.
 *
 * @param options of the entry before; undefined for a UKI
 * @see bootc specification, section 5.2
 */
export function keepArguments(
  options: string | undefined,
  parts: BootParts,
  currentTree: Tree,
  tree: TreeBuilder,
): KeptArguments {
  if (options === undefined) return { kernelArguments: [], allowMissingVerity: false, warnings: [] };
  const fromImage = listKargsFiles(currentTree).flatMap((file) =>
    parseKargsToml(readKargs(file, tree), parts.architecture.kernel, file.path),
  );
  const own = parseCommandLine(options)
    .map(({ text }) => text)
    .filter((text) => text !== "rw" && !isDigest(text));
  for (const argument of fromImage) {
    const index = own.indexOf(argument);
    if (index !== -1) own.splice(index, 1);
  }
  if (parts.type === "uki") return { kernelArguments: [], allowMissingVerity: false, warnings: warnOfArguments(own) };
  const [argument] = findComposefsArguments(options) as [ComposefsArgument?];
  return { kernelArguments: own, allowMissingVerity: argument?.optional ?? false, warnings: [] };
}

const isDigest = (text: string): boolean => text.startsWith("composefs=");

function readKargs({ content, path }: OsFile, tree: TreeBuilder): Uint8Array {
  if (content.kind === "inline") return content.bytes;
  const digest = content.kind === "external" ? content.digests[ALGORITHM] : undefined;
  return readTreeFile(tree, digest === undefined ? path : at(OBJECTS, objectPath(toHex(digest))));
}

function warnOfArguments(own: readonly string[]): OsProblem[] {
  if (own.length === 0) return [];
  const message = `the entry before has kernel arguments of its own (${own.join(" ")}), the new UKI has its own command line`;
  return [{ code: "disk.update.kargs-left", message, hint: "put them into an addon, and name it with --uki-addon" }];
}
