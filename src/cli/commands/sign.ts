import { randomBytes } from "node:crypto";
import { buildCommand } from "@stricli/core";
import { UsageError } from "../../lib/errors.ts";
import type { Context } from "../context.ts";
import { jsonFlag, listFlag, switchFlag, textFlag } from "../flags.ts";
import { perform, type Shown } from "../perform.ts";
import { pairKeys, type SignersFlags, signerRules, signersFlags } from "../signer-flags.ts";
import { sourceDateEpoch } from "../source-date-epoch.ts";

interface Flags extends SignersFlags {
  readonly output?: string;
  readonly overwrite: boolean;
  readonly replaceSignature: boolean;
  readonly timestampUrl?: string;
  readonly detached?: string;
  readonly attach?: readonly string[];
  readonly list: boolean;
  readonly removeSignatures: boolean;
  readonly json: boolean;
}

export const signCommand = buildCommand<Flags, [string], Context>({
  async func(flags, file) {
    await perform(this, flags.json, () => workOf(flags)(this, flags, file));
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [{ brief: "PE file: boot loader, kernel, UKI, addon", parse: String, placeholder: "FILE" }],
    },
    flags: {
      ...signersFlags,
      output: textFlag("FILE", "Where the signed file goes (default: FILE.signed)"),
      overwrite: switchFlag("Replace the output if it exists; allows signing in place"),
      replaceSignature: switchFlag("Take the signatures off that the file has"),
      timestampUrl: textFlag("URL", "Have each signature stamped by this authority (RFC 3161)"),
      detached: textFlag("FILE", "Write the signature alone (PKCS #7) and leave the PE file as it is"),
      attach: listFlag("FILE", "Add this signature, made elsewhere, in place of making one; repeatable"),
      list: switchFlag("Show the signatures that the file has"),
      removeSignatures: switchFlag("Take every signature off (default output: FILE.unsigned)"),
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Sign a PE file for Secure Boot (Authenticode), or look at its signatures",
    fullDescription: [
      "Adds one signature by each key; those already there stay. The bytes are those of systemd-sbsign with the same time:",
      "SOURCE_DATE_EPOCH when it is set, otherwise the start of the certificate's validity. Firmware starts a file when it",
      "trusts one of its signatures and has revoked none.",
      "",
      "EXAMPLES",
      "  sealwright sign systemd-bootx64.efi --key keys/db.key --cert keys/db.crt",
      "  sealwright sign vmlinuz --key 'pkcs11:token=prod;object=db' --output vmlinuz --overwrite",
      "  sealwright sign linux.efi --key old/db.key --cert old/db.crt --key new/db.key --cert new/db.crt",
      "  sealwright sign linux.efi --key awskms:alias/db --cert db.crt --detached linux.p7s",
      "  sealwright sign linux.efi --attach linux.p7s --cert db.crt",
      "  sealwright sign linux.efi --list",
    ].join("\n"),
  },
});

type Work = (context: Context, flags: Flags, file: string) => Promise<Shown>;

/** The four things that the command does. Two at once are a mistake. */
function workOf(flags: Flags): Work {
  const asked = (
    [
      ["--list", flags.list, list],
      ["--remove-signatures", flags.removeSignatures, remove],
      ["--attach", flags.attach !== undefined, attach],
      ["--detached", flags.detached !== undefined, detach],
    ] as const
  ).filter(([, given]) => given);
  const [first, ...more] = asked;
  if (more.length > 0) {
    const names = asked.map(([name]) => name).join(" and ");
    throw new UsageError("sign.ambiguous", `${names}: expected one of them`);
  }
  if (first !== undefined && first[2] !== detach && flags.key !== undefined) {
    throw new UsageError("sign.ambiguous", `--key and ${first[0]}: nothing is signed with ${first[0]}`);
  }
  return first?.[2] ?? sign;
}

async function sign(context: Context, flags: Flags, file: string): Promise<Shown> {
  const [{ signFile }, { showSigned }] = await Promise.all([
    import("../../actions/sign/sign-file.ts"),
    import("../show/sign.ts"),
  ]);
  const { output, overwrite, replaceSignature: replaceSignatures } = flags;
  return showSigned(await signFile(file, { ...signingOptions(context, flags), output, overwrite, replaceSignatures }));
}

async function detach(context: Context, flags: Flags, file: string): Promise<Shown> {
  const [{ signDetached }, { showDetached }] = await Promise.all([
    import("../../actions/sign/detached.ts"),
    import("../show/sign.ts"),
  ]);
  const { detached = "", overwrite } = flags;
  return showDetached(await signDetached(file, detached, { ...signingOptions(context, flags), overwrite }));
}

async function attach(_: Context, flags: Flags, file: string): Promise<Shown> {
  const [{ attachSignatures }, { showSigned }] = await Promise.all([
    import("../../actions/sign/detached.ts"),
    import("../show/sign.ts"),
  ]);
  const { attach: signaturePaths = [], cert = [], output, overwrite, replaceSignature: replaceSignatures } = flags;
  const options = { signaturePaths, certificatePaths: cert, output, overwrite, replaceSignatures };
  return showSigned(await attachSignatures(file, options));
}

async function list(_: Context, __: Flags, file: string): Promise<Shown> {
  const [{ listFileSignatures }, { showSignatureList }] = await Promise.all([
    import("../../actions/sign/list-signatures.ts"),
    import("../show/sign.ts"),
  ]);
  return showSignatureList(await listFileSignatures(file));
}

async function remove(_: Context, { output, overwrite }: Flags, file: string): Promise<Shown> {
  const [{ removeFileSignatures }, { showSigned }] = await Promise.all([
    import("../../actions/sign/detached.ts"),
    import("../show/sign.ts"),
  ]);
  return showSigned(await removeFileSignatures(file, { output, overwrite }));
}

function signingOptions(context: Context, flags: Flags) {
  return {
    ...signerRules(context, flags),
    keys: pairKeys(flags.key, flags.cert),
    buildTime: sourceDateEpoch(context.env),
    timestampUrl: flags.timestampUrl,
    randomBytes,
  };
}
