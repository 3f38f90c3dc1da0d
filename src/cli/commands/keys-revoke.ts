import { buildCommand } from "@stricli/core";
import { UsageError } from "../../lib/errors.ts";
import type { Context } from "../context.ts";
import { cacheDirectory } from "../directories.ts";
import { jsonFlag, listFlag, platformFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { type RegistryFlags, registriesOf, registryFlags } from "../registries.ts";
import { type AuthorityFlags, authorityFlags, authorityOptions } from "./keys-rotate.ts";

interface Flags extends Omit<AuthorityFlags, "keys">, RegistryFlags {
  readonly keys?: string;
  readonly known?: readonly string[];
  readonly everyProgram: boolean;
  readonly byCertificateHash: boolean;
  readonly since?: Date;
  readonly sbat?: readonly string[];
  readonly output?: string;
  readonly overwrite: boolean;
  readonly force: boolean;
  readonly dryRun: boolean;
  readonly platform?: string;
  readonly json: boolean;
}

export const revokeCommand = buildCommand<Flags, string[], Context>({
  async func(flags, ...targets) {
    await perform(this, flags.json, async () => {
      const sources = {
        platform: flags.platform,
        registries: await registriesOf(this, flags),
        cacheDirectory: cacheDirectory(this.env),
        signal: this.signal,
        progress: this.progress,
      };
      if (flags.sbat !== undefined) {
        if (targets.length > 0) throw new UsageError("keys.sbat.targets", "--sbat revokes generations, nothing else");
        const [{ assessSbatLevel }, { showSbatLevel }] = await Promise.all([
          import("../../actions/keys/sbat-level.ts"),
          import("../show/revocation.ts"),
        ]);
        const { output, overwrite, known = [], sbat: entries } = flags;
        return showSbatLevel(
          await assessSbatLevel({ ...sources, entries, known, output, overwrite, date: new Date() }),
        );
      }
      const [{ revokeKeys }, { showRevocation }] = await Promise.all([
        import("../../actions/keys/revoke-keys.ts"),
        import("../show/revocation.ts"),
      ]);
      if (flags.keys === undefined) {
        throw new UsageError("keys.revoke.keys-missing", "no key directory: expected --keys DIR, whose KEK signs dbx");
      }
      const report = await revokeKeys(flags.keys, {
        ...sources,
        ...authorityOptions(this, { ...flags, keys: flags.keys }),
        targets,
        known: flags.known ?? [],
        everyProgram: flags.everyProgram,
        byCertificateHash: flags.byCertificateHash,
        since: flags.since,
        force: flags.force,
        dryRun: flags.dryRun,
      });
      return showRevocation(report);
    });
  },
  parameters: {
    positional: {
      kind: "array",
      parameter: { brief: "What must not start any more", parse: String, placeholder: "HASH|CERT|FILE|IMAGE|DISK" },
    },
    flags: {
      ...authorityFlags,
      keys: textFlag("DIR", "Directory of the keys"),
      known: listFlag("IMAGE|DISK|FILE", "What somebody boots, or a report of seal --json; repeatable"),
      everyProgram: switchFlag("Of an image or a disk, its boot loader and addons too, not its UKI alone"),
      byCertificateHash: switchFlag("Revoke certificates by their hash (EFI_CERT_X509_SHA256): a tenth of the room"),
      since: {
        kind: "parsed",
        parse: parseTime,
        optional: true,
        brief: "With that, from this time on (default: always)",
        placeholder: "TIME",
      },
      sbat: listFlag("COMPONENT,GENERATION", "Instead: the level below which shim starts nothing; repeatable"),
      output: textFlag("FILE", "With --sbat, where the level goes"),
      overwrite: switchFlag("With --sbat, replace the output if it exists"),
      force: switchFlag("Revoke although the newest of what is known stops, or a key in use"),
      dryRun: switchFlag("Show what it would stop, and write nothing"),
      platform: platformFlag,
      ...registryFlags,
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Revoke programs or signers: signed updates of dbx, and what they stop",
    fullDescription: [
      "Of an image its UKI is revoked, by digest. Writes DIR/dbx-append.auth, which adds to the dbx of a machine, and",
      "DIR/dbx.auth, which replaces it. A machine that has taken a revocation keeps it: say with --known what somebody boots,",
      "and keep reports of seal --json in DIR/sealed, to see what stops. A program with two signatures stops when one of its",
      "signers is revoked.",
      "",
      "--sbat is for chains that begin with shim, which alone looks at it. Without shim it stops nothing.",
      "",
      "EXAMPLES",
      "  sealwright keys revoke registry.example/os:41 --keys keys --known registry.example/os:42",
      "  sealwright keys revoke stolen.crt --keys keys --known registry.example/os:42 --known disk.qcow2",
      "  sealwright keys revoke oci:./os --keys keys --dry-run",
      "  sealwright keys revoke --sbat uki,2 --known oci:./os --output SbatLevel.csv",
    ].join("\n"),
  },
});

function parseTime(input: string): Date {
  const time = new Date(input);
  if (Number.isNaN(time.getTime()))
    throw new SyntaxError(`Expected a time such as 2026-05-01, found ${JSON.stringify(input)}`);
  return time;
}
