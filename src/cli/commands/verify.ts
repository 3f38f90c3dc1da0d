import { buildCommand } from "@stricli/core";
import { UsageError } from "../../lib/errors.ts";
import type { ChainVerdict, LinkTitles } from "../../model/verdict/verdict.ts";
import type { Context } from "../context.ts";
import { jsonFlag, listFlag, platformFlag, switchFlag, textFlag } from "../flags.ts";
import { perform, type Shown } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";

interface Flags extends RegistryFlags {
  readonly cert?: readonly string[];
  readonly format?: string;
  readonly allowMissingVerity: boolean;
  readonly platform?: string;
  readonly attestationKey?: readonly string[];
  readonly require?: string;
  readonly host: boolean;
  readonly html?: string;
  readonly json: boolean;
}

const subject = {
  brief: "Image, as for the other commands; or a disk image, raw or qcow2",
  parse: (input: string): string => input,
  placeholder: "IMAGE|DISK",
  optional: true,
} as const;

export const verifyCommand = buildCommand<Flags, [string?], Context>({
  async func(flags, reference) {
    await perform(this, flags.json, async () => {
      if (flags.host) return await judgeHost(this, flags, reference);
      if (reference === undefined) {
        throw new UsageError("verify.nothing", "nothing to verify", { hint: "name an image or a disk, or add --host" });
      }
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
      attestationKey: listFlag("FILE", "Public key or certificate that signs what is said about the image; repeatable"),
      require: textFlag(
        "LIST",
        "What has to be said and signed: signature, provenance, sbom, composefs; comma-separated",
      ),
      host: switchFlag("Verify the machine this runs on, from inside"),
      html: textFlag("FILE", "Also write the verdict as one HTML file"),
      ...registryFlags,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Check a sealed image, disk or running machine link by link, offline",
    fullDescription: [
      "Reads every blob, checks both signatures against the certificates, the rules of the command line and the digest",
      "recomputed from the layers. Of a disk: every signature on the ESP, what the entries start, the EROFS image, and",
      "every object with its Merkle tree. Prints one line a link; the exit status is 0 only when every link holds.",
      "Below the chain of an image stands what is said about it: signatures, SBOM, provenance. It counts with --require.",
      "",
      "With --host, the machine this runs on: Secure Boot and the firmware's keys, boot loader and UKI on the ESP, what",
      "the event log says was started, the command line, the kernel's measurement of the EROFS image, how the root is",
      "mounted, /usr, and the deployment in use. Without --cert the firmware's own db says which signatures count. Needs",
      "root. The machine tells all of this itself: what others can rely on is a quote of its TPM.",
      "",
      "EXAMPLES",
      "  sealwright verify oci:./sealed --cert keys/db.crt",
      "  sealwright verify oci-archive:sealed.tar --cert old-db.crt --cert new-db.crt --json",
      "  sealwright verify HOST/os:sealed --cert keys/db.crt --attestation-key cosign.pub --require signature,sbom",
      "  sealwright verify os.qcow2 --cert keys/db.crt",
      "  sealwright verify --host --cert db.crt --html verdict.html",
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
  const [{ verifyImage }, { LINKS }, { parseRequired, remarksOn }, { withRemarks }] = await Promise.all([
    import("../../actions/verify/verify-image.ts"),
    import("../../actions/verify/verdict.ts"),
    import("../../actions/verify/remarks.ts"),
    import("../show/remarks.ts"),
  ]);
  parseRequired(flags.require);
  const registries = await registriesOf(context, flags);
  const verdict = await verifyImage(image, {
    certificates: flags.cert ?? [],
    format: flags.format,
    allowMissingVerity: flags.allowMissingVerity,
    platform: flags.platform,
    now: new Date(),
    registries,
    signal: context.signal,
    progress: context.progress,
  });
  const report = await remarksOn(verdict, {
    certificates: flags.cert ?? [],
    attestationKeys: flags.attestationKey ?? [],
    required: flags.require,
    platform: flags.platform,
    registries,
    signal: context.signal,
  });
  return withRemarks(await present(flags, verdict, image, LINKS), report);
}

async function judgeDisk(context: Context, flags: Flags, disk: string): Promise<Shown> {
  refuseImageOptions(flags, "disks");
  const [{ verifyDisk }, { DISK_LINKS }] = await Promise.all([
    import("../../actions/verify-disk/verify-disk.ts"),
    import("../../actions/verify-disk/verdict.ts"),
  ]);
  const verdict = await verifyDisk(disk, {
    certificates: flags.cert ?? [],
    allowMissingVerity: flags.allowMissingVerity,
    now: new Date(),
    signal: context.signal,
    progress: context.progress,
  });
  return await present(flags, verdict, disk, DISK_LINKS);
}

async function judgeHost(context: Context, flags: Flags, reference: string | undefined): Promise<Shown> {
  refuseImageOptions(flags, "hosts");
  if (reference !== undefined) {
    throw new UsageError("verify.two-subjects", `--host verifies this machine, and ${reference} was named as well`);
  }
  const [{ verifyHost }, { HOST_LINKS }] = await Promise.all([
    import("../../actions/verify-host/verify-host.ts"),
    import("../../actions/verify-host/verdict.ts"),
  ]);
  const verdict = await verifyHost({
    certificates: flags.cert ?? [],
    allowMissingVerity: flags.allowMissingVerity,
    now: new Date(),
    progress: context.progress,
  });
  return await present(flags, verdict, "this machine", HOST_LINKS);
}

function refuseImageOptions({ attestationKey, format, platform, require }: Flags, others: string): void {
  for (const [name, value] of Object.entries({ format, platform, "attestation-key": attestationKey, require })) {
    if (value !== undefined) throw new UsageError("verify.image-option", `--${name} is for images, not for ${others}`);
  }
}

async function present<Name extends string>(
  { html }: Flags,
  verdict: ChainVerdict<Name>,
  subject: string,
  titles: LinkTitles<Name>,
): Promise<Shown> {
  if (html !== undefined) {
    const [{ renderVerdict }, { storeFile }] = await Promise.all([
      import("../show/verdict-html.ts"),
      import("../../model/host-io/files.ts"),
    ]);
    await storeFile(html, Buffer.from(renderVerdict(verdict, subject, titles)), { overwrite: true });
  }
  const { showVerdict } = await import("../show/verdict.ts");
  return showVerdict(verdict, subject, titles);
}
