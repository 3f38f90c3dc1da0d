/**
 * What a guest is asked about its own seal, and how the answer comes back.
 *
 * The questions go in as systemd credentials through SMBIOS, so the disk is not touched: a unit, a drop-in that starts
 * it, and the script that the unit runs. The answers come out of a serial port of their own, where neither the kernel nor
 * systemd writes. They are facts; what they mean is decided outside.
 */
import { FormatError } from "../../lib/errors.ts";
import { REPORT_TTY } from "../../model/machine/arguments.ts";
import type { Architecture } from "../../model/machine/firmware.ts";

const UNIT = "sealwright-check.service";
const SCRIPT = "sealwright.check";
/** Credentials reach the systemd of an initial RAM file system, too; the question is for the system behind it. */
const unitText = (credentials: readonly string[]): string => `[Unit]
Description=Report on the seal of this system
ConditionPathExists=!/etc/initrd-release
DefaultDependencies=no
After=local-fs.target systemd-tmpfiles-setup.service
Before=sysinit.target

[Service]
Type=oneshot
${credentials.map((name) => `ImportCredential=${name}\n`).join("")}ExecStart=/bin/sh \${CREDENTIALS_DIRECTORY}/${SCRIPT}
TimeoutStartSec=infinity
`;

/** Pulled in by a target that every boot reaches. */
const DROP_IN_TEXT = `[Unit]
Wants=${UNIT}
`;

/**
 * One fact a line, `name value`. Each is asked for by itself, so that a question which a system cannot answer leaves the
 * others alone.
 *
 * @param tty where the answers go
 * @param reads files to be read to their end
 */
export function checkScript(tty: string, reads: readonly string[]): string {
  const quoted = reads.map((path) => `'${path.replaceAll("'", "'\\''")}'`).join(" ");
  return `# Standard output of the answers is the report; whatever else is said goes nowhere.
exec 2>/dev/null >${tty}
fact() { printf '%s %s\\n' "$1" "$2"; }
efivar() { od -An -v -tx1 "/sys/firmware/efi/efivars/$1-8be4df61-93ca-11d2-aa0d-00e098032b8c" | tr -d ' \\n'; }
writable() { if ( : >"$1/.sealwright-check" ); then rm -f "$1/.sealwright-check"; echo yes; else echo no; fi; }
fact begin 1
fact cmdline "$(cat /proc/cmdline)"
fact root "$(awk '$5 == "/" { line = $0 } END { print line }' /proc/self/mountinfo)"
fact secure-boot "$(efivar SecureBoot)"
fact setup-mode "$(efivar SetupMode)"
id=$(sed -n 's/^/ /; s/.*[[:space:]]composefs=\\([0-9a-f]*\\).*/\\1/p' /proc/cmdline)
fact measured "$(fsverity measure "/sysroot/composefs/images/$id")"
for place in /etc /var /usr; do fact "writable$place" "$(writable "$place")"; done
[ ! -e /sys/class/tpm/tpm0 ] || for pcr in 4 7 11; do fact "pcr-$pcr" "$(cat /sys/class/tpm/tpm0/pcr-sha256/$pcr)"; done
log=/sys/kernel/security/tpm0/binary_bios_measurements
[ ! -e $log ] || fact event-log "$(base64 -w0 $log)"
for path in ${quoted}; do
	if error=$(cat "$path" 2>&1 >/dev/null); then fact read "ok $path"; else fact read "\${error##*: } $path"; fi
done
fact end 1
# Nothing of this boot is to be kept.
echo o >/proc/sysrq-trigger
sleep 60
`;
}

/** The credentials that make a guest answer, by name. */
export function checkCredentials(architecture: Architecture, reads: readonly string[] = []): Map<string, Uint8Array> {
  return scriptCredentials(checkScript(REPORT_TTY[architecture], reads));
}

/**
 * The credentials that make a guest run a script of ours while it starts, as root.
 *
 * @param more what the script finds by name in `$CREDENTIALS_DIRECTORY`
 */
export function scriptCredentials(
  script: string,
  more: ReadonlyMap<string, Uint8Array> = new Map(),
): Map<string, Uint8Array> {
  return new Map([
    [`systemd.extra-unit.${UNIT}`, Buffer.from(unitText([SCRIPT, ...more.keys()]))],
    ["systemd.unit-dropin.sysinit.target~sealwright", Buffer.from(DROP_IN_TEXT)],
    [SCRIPT, Buffer.from(script)],
    ...more,
  ]);
}

export interface GuestReport {
  readonly commandLine: string;
  /** The line of /proc/self/mountinfo for the topmost mount of /. */
  readonly root: string;
  /** Contents of the EFI variables, attributes first; empty where there is none. */
  readonly secureBoot: Uint8Array;
  readonly setupMode: Uint8Array;
  /** What `fsverity measure` said of the image, without its path. */
  readonly measured: string;
  readonly writable: Readonly<Record<"/etc" | "/var" | "/usr", boolean>>;
  /** Hexadecimal by number, SHA-256 bank; empty without a TPM. */
  readonly pcrs: ReadonlyMap<number, string>;
  readonly eventLog: Uint8Array | undefined;
  /** What became of each file that was to be read: "ok" or the system's message. */
  readonly reads: ReadonlyMap<string, string>;
}

/** Whether a report has come in whole. */
export const isWhole = (text: string): boolean => /^end 1\r?$/m.test(text);

/**
 * Reads the answers of a guest. A guest can answer what it likes: every fact is text of bounded size, and what it proves
 * is for the caller to decide.
 *
 * @throws {FormatError} `machine.report.incomplete`
 */
export function parseReport(text: string): GuestReport {
  const facts = text.split(/\r?\n/).map((line): [string, string] => {
    const space = line.indexOf(" ");
    return space < 0 ? [line, ""] : [line.slice(0, space), line.slice(space + 1)];
  });
  const one = (name: string): string => facts.find(([found]) => found === name)?.[1] ?? "";
  if (!isWhole(text)) {
    const found = `${facts.length} lines, the last one ${JSON.stringify(facts.at(-1)?.[0] ?? "")}`;
    throw new FormatError("machine.report.incomplete", { what: "report of the guest", expected: "an end", found });
  }
  const log = one("event-log");
  return {
    commandLine: one("cmdline"),
    root: one("root"),
    secureBoot: Buffer.from(one("secure-boot"), "hex"),
    setupMode: Buffer.from(one("setup-mode"), "hex"),
    measured: one("measured").split(" ")[0] ?? "",
    writable: {
      "/etc": one("writable/etc") === "yes",
      "/var": one("writable/var") === "yes",
      "/usr": one("writable/usr") === "yes",
    },
    pcrs: new Map(
      facts.flatMap(([name, value]) => {
        const pcr = /^pcr-(\d+)$/.exec(name)?.[1];
        return pcr === undefined || value === "" ? [] : [[Number(pcr), value.toLowerCase()] as const];
      }),
    ),
    eventLog: log === "" ? undefined : Buffer.from(log, "base64"),
    reads: new Map(
      facts
        .filter(([name]) => name === "read")
        .map(([, value]) => {
          const slash = value.indexOf(" /");
          return [value.slice(slash + 1), value.slice(0, slash)] as const;
        }),
    ),
  };
}
