/** What images are known as, whatever their tags. */
import { parseReference, showReference } from "../../formats/oci/index.ts";
import type { SigningRequest } from "../../formats/signing-request/index.ts";

/** `quay.io/example/os` of a registry, otherwise the transport and the path: what globs of a policy are held against. */
export function repositoryOf(reference: string): string {
  const parsed = parseReference(reference);
  switch (parsed.transport) {
    case "docker":
      return `${parsed.registry}/${parsed.repository}`;
    case "oci":
    case "oci-archive":
    case "docker-archive":
      return `${parsed.transport}:${parsed.path}`;
    default:
      return showReference(parsed);
  }
}

/** The name under which signers remember an image: that of the sealed one, where it is known. */
export const imageName = ({ image }: SigningRequest): string => repositoryOf(image.target ?? image.source);

/** The same image, whatever becomes of the tag. */
export function pinned(reference: string, manifestDigest: string): string {
  const parsed = parseReference(reference);
  switch (parsed.transport) {
    case "docker":
      return `docker://${parsed.registry}/${parsed.repository}@${manifestDigest}`;
    case "oci":
    case "oci-archive":
      return `${parsed.transport}:${parsed.path}:@${manifestDigest}`;
    default:
      return reference;
  }
}
