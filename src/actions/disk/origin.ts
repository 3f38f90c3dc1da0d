export interface Origin {
  /** `ostree-unverified-image:docker://registry.example/os:1` */
  readonly reference: string;
  readonly bootType: "uki" | "bls";
  readonly bootDigest: string;
  /** `sha256:<hex>` */
  readonly manifestDigest: string;
}

/** The file by which a host knows where a deployment is from (bootc specification, section 3.9). */
export function encodeOrigin({ bootDigest, bootType, manifestDigest, reference }: Origin): string {
  return [
    "[origin]",
    `container-image-reference=${reference}`,
    "",
    "[boot]",
    `boot_type=${bootType}`,
    `digest=${bootDigest}`,
    "",
    "[image]",
    `manifest_digest=${manifestDigest}`,
    "",
  ].join("\n");
}
