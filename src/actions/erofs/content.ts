import type { ErofsImage } from "../../formats/erofs/index.ts";
import type { ByteString } from "../../lib/bytes/byte-string.ts";
import { NotFoundError, quote, UsageError } from "../../lib/errors.ts";
import { findNode, loadErofs, type StoredNode } from "./open-image.ts";

/** Overlayfs reads it: where the bytes of a file are, below the directory of objects. */
const REDIRECT = "trusted.overlay.redirect";
const METACOPY = "trusted.overlay.metacopy";

export type StoredContent =
  | { readonly kind: "stored" }
  /** Path of the object below the object store, where the image names one. */
  | { readonly kind: "object"; readonly object?: ByteString };

/** Where the bytes of a file are. */
export function contentOf(image: ErofsImage, { inode }: StoredNode): StoredContent {
  const xattrs = image.xattrs(inode);
  if (!xattrs.some(({ name }) => name === METACOPY)) return { kind: "stored" };
  const redirect = xattrs.find(({ name }) => name === REDIRECT)?.value;
  return { kind: "object", ...(redirect === undefined ? {} : { object: redirect.replace(/^\//, "") as ByteString }) };
}

/**
 * The bytes of a file that has them in the image.
 *
 * @throws {NotFoundError} `erofs.path.not-found`; `erofs.content.external`, which names the object
 * @throws {UsageError} `erofs.path.not-a-file`
 */
export async function readErofsFile(file: string, path: string): Promise<Uint8Array> {
  const { image } = await loadErofs(file);
  const node = findNode(image, path);
  if (node.kind !== "file") {
    throw new UsageError("erofs.path.not-a-file", `${quote(path)}: found a ${node.kind}, expected a regular file`);
  }
  const content = contentOf(image, node);
  if (content.kind === "stored") return image.content(node.inode);
  const place = content.object === undefined ? "an object that the image does not name" : `object ${content.object}`;
  throw new NotFoundError("erofs.content.external", `${quote(path)}: its ${node.inode.size} bytes are in ${place}`, {
    data: { path, size: Number(node.inode.size), object: content.object },
    hint: "object names are below composefs/objects of a host, or the repository that the image belongs to",
  });
}
