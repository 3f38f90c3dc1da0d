import type { StoredFault } from "../../model/disk/check-merkle.ts";

/** What is wrong beside contents that are right, in words. */
const SENTENCES: Readonly<Record<StoredFault, string>> = {
  "verity-missing":
    "found a file without fs-verity, expected one with: the kernel would read it unchecked, overlayfs refuses it",
  "descriptor-missing": "found no fs-verity descriptor, expected one behind the end of the file",
  "descriptor-differs": "found an fs-verity descriptor that the contents do not give",
  "tree-differs": "found a Merkle tree that the contents do not give",
  "padding-not-zero":
    "found bytes behind the end of the file in its last block, expected zeros: the kernel hashes them",
};

export function describeFault(fault: StoredFault, at: number | undefined): string {
  return `${SENTENCES[fault]}${at === undefined ? "" : `, at byte ${at} of the file`}`;
}
