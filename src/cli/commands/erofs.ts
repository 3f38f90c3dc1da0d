import { buildCommand, buildRouteMap } from "@stricli/core";
import type { Context } from "../context.ts";
import { jsonFlag, switchFlag } from "../flags.ts";
import { perform } from "../perform.ts";

const file = {
  brief: "EROFS image, of composefs or of mkfs.erofs without compression",
  parse: String,
  placeholder: "FILE",
};
const pathInImage = { brief: "Path in the image; links are not followed", parse: String, placeholder: "PATH" };

interface JsonFlag {
  readonly json: boolean;
}

const inspectErofsCommand = buildCommand<JsonFlag, [string], Context>({
  async func(flags, image) {
    await perform(this, flags.json, async () => {
      const [{ inspectErofs }, { showErofs }] = await Promise.all([
        import("../../actions/erofs/inspect-erofs.ts"),
        import("../show/erofs.ts"),
      ]);
      return showErofs(await inspectErofs(image));
    });
  },
  parameters: { positional: { kind: "tuple", parameters: [file] }, flags: { json: jsonFlag } },
  docs: { brief: "Show header, superblock, counts and the fs-verity digests of an image" },
});

interface ListFlags extends JsonFlag {
  readonly long: boolean;
  readonly recursive: boolean;
  readonly all: boolean;
}

const listErofsCommand = buildCommand<ListFlags, [string, string?], Context>({
  async func(flags, image, path) {
    await perform(this, flags.json, async () => {
      const [{ listErofs }, { showListing }] = await Promise.all([
        import("../../actions/erofs/list-erofs.ts"),
        import("../show/erofs.ts"),
      ]);
      return showListing(await listErofs(image, { path, recursive: flags.recursive, all: flags.all }), flags.long);
    });
  },
  parameters: {
    positional: { kind: "tuple", parameters: [file, { ...pathInImage, optional: true }] },
    flags: {
      long: switchFlag("With mode, links, owner, size and time; + marks extended attributes, [] the object of a file"),
      recursive: switchFlag("Also everything below"),
      all: switchFlag("Also the 256 entries that composefs formats 0 and 1 add to the root"),
      json: jsonFlag,
    },
    aliases: { l: "long", R: "recursive", a: "all" },
  },
  docs: { brief: "List names in an image" },
});

const catErofsCommand = buildCommand<JsonFlag, [string, string], Context>({
  async func(flags, image, path) {
    await perform(this, flags.json, async () => {
      const { readErofsFile } = await import("../../actions/erofs/content.ts");
      const bytes = await readErofsFile(image, path);
      const json = { path, size: bytes.length, base64: Buffer.from(bytes).toString("base64") };
      return { text: "", bytes: [bytes], json };
    });
  },
  parameters: { positional: { kind: "tuple", parameters: [file, pathInImage] }, flags: { json: jsonFlag } },
  docs: { brief: "Print a file that has its bytes in the image; of others, name the object" },
});

const dumpErofsCommand = buildCommand<object, [string], Context>({
  async func(_, image) {
    await perform(this, false, async () => {
      const { dumpErofs } = await import("../../actions/erofs/dump-erofs.ts");
      return { text: "", bytes: await dumpErofs(image), json: null };
    });
  },
  parameters: { positional: { kind: "tuple", parameters: [file] }, flags: {} },
  docs: { brief: "Print a composefs image as a composefs dumpfile" },
});

export const erofsRoutes = buildRouteMap<"inspect" | "ls" | "cat" | "dump", Context>({
  routes: { inspect: inspectErofsCommand, ls: listErofsCommand, cat: catErofsCommand, dump: dumpErofsCommand },
  docs: { brief: "EROFS images: those of composefs, and plain ones" },
});
