import { randomBytes } from "node:crypto";
import { buildCommand } from "@stricli/core";
import type { Context } from "../context.ts";
import { machinePlaces } from "../directories.ts";
import { openDiskArgument } from "../disk-argument.ts";
import { jsonFlag, requiredTextFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";

interface Flags {
  readonly keys: string;
  readonly tamper: boolean;
  readonly only?: string;
  readonly junit?: string;
  readonly timeout?: number;
  readonly tpm: boolean;
  readonly emulate: boolean;
  readonly json: boolean;
}

export const vmTestCommand = buildCommand<Flags, [string], Context>({
  async func(flags, argument) {
    await perform(this, flags.json, async () => {
      const [{ TAMPER_CASES }, { testMachine }, { junit, showTest }] = await Promise.all([
        import("../../actions/machine/tamper.ts"),
        import("../../actions/machine/test-machine.ts"),
        import("../show/vm-test.ts"),
      ]);
      await using disk = await openDiskArgument(this, argument);
      const all = flags.tamper ? TAMPER_CASES.map(({ name }) => name) : [];
      const report = await testMachine(disk.path, {
        places: machinePlaces(this.env),
        keys: flags.keys,
        tamper: flags.only?.split(",") ?? all,
        ...(flags.timeout === undefined ? {} : { timeoutMs: flags.timeout * 1000 }),
        tpm: flags.tpm,
        accelerator: flags.emulate ? { accelerator: "tcg", reason: "asked for" } : undefined,
        tools: { now: new Date(), randomBytes },
        signal: this.signal,
        progress: this.progress,
      });
      if (flags.junit !== undefined) {
        const { storeFile } = await import("../../model/host-io/files.ts");
        await storeFile(flags.junit, Buffer.from(junit(report)), { overwrite: true });
      }
      return showTest(report);
    });
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [
        {
          brief: "Disk with a sealed system, raw or qcow2, or an image to build one from",
          parse: String,
          placeholder: "DISK|IMAGE",
        },
      ],
    },
    flags: {
      keys: requiredTextFlag("DIR", "Directory of the keys that the machine trusts; private keys are not needed"),
      tamper: switchFlag("Change a copy of the disk in every way known here, and boot each"),
      only: textFlag("NAMES", "Tamper in these ways alone, by name, separated by commas"),
      junit: textFlag("FILE", "Write the report for CI systems as well"),
      timeout: {
        kind: "parsed",
        parse: Number,
        optional: true,
        brief: "Seconds for one boot (default: 300)",
        placeholder: "S",
      },
      tpm: { kind: "boolean", brief: "Give the machine a TPM 2.0 (swtpm)", default: true },
      emulate: switchFlag("Do not try KVM"),
      json: jsonFlag,
    },
  },
  docs: {
    brief: "Boot a disk under Secure Boot and prove its seal from inside",
    fullDescription: [
      "Boots the disk with your keys alone in the firmware, and has the running system report: Secure Boot on, command",
      "line as signed, root mounted with verity=require, the kernel's measurement of the EROFS image, /usr read-only, /etc",
      "and /var writable. The questions reach the guest through SMBIOS; the disk is not written to.",
      "",
      "--tamper then flips bits of a file's object, of the EROFS image, of the UKI's command line, initrd and kernel and of",
      "systemd-boot, takes signatures away and puts a stranger's in their place. Each copy must be refused at the link that",
      "protects it. Under emulation a boot takes a minute or two. The exit status is 80 when anything does not hold.",
      "",
      "The guest needs systemd 256 or newer.",
      "",
      "EXAMPLES",
      "  sealwright vm test os.raw --keys keys",
      "  sealwright vm test oci:./sealed --keys keys",
      "  sealwright vm test os.qcow2 --keys keys --tamper --junit report.xml",
      "  sealwright vm test os.raw --keys keys --only object,uki-stranger",
    ].join("\n"),
  },
});
