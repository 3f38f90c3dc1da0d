/** The next release of an image: one more layer on top. */
import { gzipSync } from "node:zlib";
import { encodeManifest, MEDIA_TYPE, toBlobDigest } from "../../src/formats/oci/index.ts";
import { openImageWriter } from "../../src/model/image/image-writer.ts";
import { openImage } from "../../src/model/image/open-image.ts";
import { type PlainEntry, tarLayer } from "../small-os.ts";

export async function writeNextRelease(from: string, to: string, entries: readonly PlainEntry[]): Promise<void> {
  await using image = await openImage(from);
  await using writer = await openImageWriter(to);
  const layers = [];
  for (const layer of image.layers) layers.push(await writer.copyBlob(layer));
  const tar = tarLayer(entries);
  layers.push(await writer.putBytes(gzipSync(tar), MEDIA_TYPE.layerGzip));
  const json = JSON.parse(Buffer.from(image.configBytes).toString());
  json.rootfs.diff_ids.push(toBlobDigest(tar));
  json.history?.push({ created_by: "the next release" });
  const config = await writer.putBytes(Buffer.from(JSON.stringify(json)), MEDIA_TYPE.config);
  const mediaType = MEDIA_TYPE.manifest;
  await writer.commit({
    manifestBytes: encodeManifest({ schemaVersion: 2, mediaType, config, layers }),
    mediaType,
  });
}
