import { randomBytes } from "node:crypto";
import { buildCommand } from "@stricli/core";
import type { Context } from "../context.ts";
import { machinePlaces } from "../directories.ts";
import { openDiskArgument } from "../disk-argument.ts";
import { jsonFlag, numberFlag, requiredTextFlag, switchFlag, textFlag } from "../flags.ts";
import { perform } from "../perform.ts";
import { type RegistryFlags, registryFlags } from "../registries.ts";
import { acceleratorOf, diskOrImage, emulateFlag, toMs, tpmFlag } from "./vm-flags.ts";

interface Flags extends RegistryFlags {
  readonly keys: string;
  readonly tamper: boolean;
  readonly only?: string;
  readonly junit?: string;
  readonly html?: string;
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
      await using disk = await openDiskArgument(this, argument, flags);
      const all = flags.tamper ? TAMPER_CASES.map(({ name }) => name) : [];
      const report = await testMachine(disk.path, {
        places: machinePlaces(this.env),
        keys: flags.keys,
        tamper: flags.only?.split(",") ?? all,
        timeoutMs: toMs(flags.timeout),
        tpm: flags.tpm,
        accelerator: acceleratorOf(flags.emulate),
        tools: { now: new Date(), randomBytes },
        signal: this.signal,
        progress: this.progress,
      });
      if (flags.junit !== undefined) {
        const { storeFile } = await import("../../model/host-io/files.ts");
        await storeFile(flags.junit, Buffer.from(junit(report)), { overwrite: true });
      }
      if (flags.html !== undefined) {
        const [{ renderTest }, { storeFile }] = await Promise.all([
          import("../show/vm-test-html.ts"),
          import("../../model/host-io/files.ts"),
        ]);
        await storeFile(flags.html, Buffer.from(renderTest(report)), { overwrite: true });
      }
      return showTest(report);
    });
  },
  parameters: {
    positional: {
      kind: "tuple",
      parameters: [diskOrImage],
    },
    flags: {
      keys: requiredTextFlag("DIR", "Directory of the keys that the machine trusts; private keys are not needed"),
      tamper: switchFlag("Change a copy of the disk in every way known here, and boot each"),
      only: textFlag("NAMES", "Tamper in these ways alone, by name, separated by commas"),
      junit: textFlag("FILE", "Write the report for CI systems as well"),
      html: textFlag("FILE", "Also write the report as one HTML file"),
      timeout: numberFlag("S", "Seconds for one boot (default: 300)"),
      tpm: tpmFlag,
      emulate: emulateFlag,
      ...registryFlags,
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
      "systemd-boot; takes fs-verity and signatures away, puts other files and a stranger's programs in their place, and",
      "changes what no signature covers: boot entry and repository. Each copy must be refused at the link that protects it,",
      "or boot as sealed where nothing rests on the change. Under emulation a boot takes a minute. The exit status is 80",
      "when anything does not hold.",
      "",
      "The guest needs systemd 256 or newer and fsverity(1).",
      "",
      "EXAMPLES",
      "  sealwright vm test os.raw --keys keys",
      "  sealwright vm test oci:./sealed --keys keys",
      "  sealwright vm test os.qcow2 --keys keys --tamper --junit report.xml --html report.html",
      "  sealwright vm test os.raw --keys keys --only object,uki-stranger",
    ].join("\n"),
  },
});
