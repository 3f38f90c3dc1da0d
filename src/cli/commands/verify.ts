import { buildCommand } from "@stricli/core";
import { UsageError } from "../../lib/errors.ts";
import type { Context } from "../context.ts";
import { jsonFlag, listFlag, platformFlag, switchFlag, textFlag } from "../flags.ts";
import { perform, type Shown } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";

interface Flags extends RegistryFlags {
  readonly cert?: readonly string[];
  readonly format?: string;
  readonly allowMissingVerity: boolean;
  readonly platform?: string;
  readonly json: boolean;
}

const subject = {
  brief: "Image, as for the other commands; or a disk image, raw or qcow2",
  parse: (input: string): string => input,
  placeholder: "IMAGE|DISK",
} as const;

export const verifyCommand = buildCommand<Flags, [string], Context>({
  async func(flags, reference) {
    await perform(this, flags.json, async () => {
      const disk = await findDisk(reference);
      return disk === undefined ? await judgeImage(this, flags, reference) : await judgeDisk(this, flags, disk);
    });
  },
  parameters: {
    positional: { kind: "tuple", parameters: [subject] },
    flags: {
      cert: listFlag("FILE", "Certificate of the Secure Boot db, PEM or DER; repeatable"),
      format: textFlag("FORMAT", "Format of the digest on the command line (default: the one that matches)"),
      allowMissingVerity: switchFlag("Accept composefs=?DIGEST, which lets the kernel go on without fs-verity"),
      platform: platformFlag,
      ...registryFlags,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Check a sealed image or disk link by link, offline",
    fullDescription: [
      "Reads every blob, checks both signatures against the certificates, the rules of the command line and the digest",
      "recomputed from the layers. Of a disk: every signature on the ESP, what the entries start, the EROFS image, and",
      "every object with its Merkle tree. Prints one line a link; the exit status is 0 only when every link holds.",
      "",
      "EXAMPLES",
      "  sealwright verify oci:./sealed --cert keys/db.crt",
      "  sealwright verify oci-archive:sealed.tar --cert old-db.crt --cert new-db.crt --json",
      "  sealwright verify os.qcow2 --cert keys/db.crt",
    ].join("\n"),
  },
});

/** `disk:FILE`, or a file that starts as a disk does. */
async function findDisk(reference: string): Promise<string | undefined> {
  if (reference.startsWith("disk:")) return reference.slice("disk:".length);
  const { isDiskFile } = await import("../../model/disk/open-disk.ts");
  return (await isDiskFile(reference)) ? reference : undefined;
}

async function judgeImage(context: Context, flags: Flags, image: string): Promise<Shown> {
  const [{ verifyImage }, { LINKS }, { showVerdict }] = await Promise.all([
    import("../../actions/verify/verify-image.ts"),
    import("../../actions/verify/verdict.ts"),
    import("../show/verdict.ts"),
  ]);
  const verdict = await verifyImage(image, {
    certificates: flags.cert ?? [],
    format: flags.format,
    allowMissingVerity: flags.allowMissingVerity,
    platform: flags.platform,
    now: new Date(),
    registries: await registriesOf(context, flags),
    signal: context.signal,
    progress: context.progress,
  });
  return showVerdict(verdict, image, LINKS);
}

async function judgeDisk(context: Context, flags: Flags, disk: string): Promise<Shown> {
  for (const [name, value] of Object.entries({ format: flags.format, platform: flags.platform })) {
    if (value !== undefined) throw new UsageError("verify.image-option", `--${name} is for images, not for disks`);
  }
  const [{ verifyDisk }, { DISK_LINKS }, { showVerdict }] = await Promise.all([
    import("../../actions/verify-disk/verify-disk.ts"),
    import("../../actions/verify-disk/verdict.ts"),
    import("../show/verdict.ts"),
  ]);
  const verdict = await verifyDisk(disk, {
    certificates: flags.cert ?? [],
    allowMissingVerity: flags.allowMissingVerity,
    now: new Date(),
    signal: context.signal,
    progress: context.progress,
  });
  return showVerdict(verdict, disk, DISK_LINKS);
}
