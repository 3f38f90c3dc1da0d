/** The two hash algorithms of fs-verity, by the names used everywhere in Sealwright. */
export type VerityAlgorithm = "sha256" | "sha512";

/** FS_VERITY_HASH_ALG_* (linux/fsverity.h) and digest size in bytes. */
export const VERITY_ALGORITHMS = {
  sha256: { id: 1, digestSize: 32 },
  sha512: { id: 2, digestSize: 64 },
} as const satisfies Record<VerityAlgorithm, { id: number; digestSize: number }>;
