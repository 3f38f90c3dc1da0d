import type { EnrolledCloud } from "../../actions/enroll/enroll-cloud.ts";
import type { EnrolledDirectory, EnrolledUpdate, EnrolmentPlace } from "../../actions/enroll/enroll-directory.ts";
import type { EnrolledMachine } from "../../actions/enroll/enroll-machine.ts";
import type { EnrolledStore } from "../../actions/enroll/enroll-store.ts";
import { showSize } from "../../lib/bytes/numbers.ts";
import type { Shown } from "../perform.ts";
import { printable } from "./printable.ts";

const DRY = "nothing was written";

export function showStore(enrolled: EnrolledStore, dryRun: boolean): Shown {
  const { db, path, revoked, secureBoot } = enrolled;
  const lines = [
    `${path}: PK, KEK and db ${dryRun ? "would be enrolled" : "enrolled"}, Secure Boot ${secureBoot ? "on" : "off"}`,
    ...db.map((subject) => `  db   ${printable(subject)}`),
    ...(revoked === 0 ? [] : [`  dbx  ${revoked} of your own`]),
    ...(dryRun ? [DRY] : []),
  ];
  return { text: lines.join("\n"), json: { ...enrolled, dryRun } };
}

export function showMachine(enrolled: EnrolledMachine): Shown {
  const { db, dryRun, optionRoms, updates } = enrolled;
  const lines = [
    ...updates.map(showUpdate),
    ...db.map((subject) => `  allows ${printable(subject)}`),
    ...optionRoms.map(({ devicePath, sha256 }) => printable(`  option ROM ${devicePath}  ${sha256 ?? ""}`)),
    dryRun ? DRY : "written; the firmware goes by them from the next start on",
  ];
  return { text: lines.join("\n"), json: enrolled };
}

const NEXT: Readonly<Record<EnrolmentPlace, string>> = {
  esp: "systemd-boot offers them in its menu in setup mode; the set auto enrols itself on virtual machines, elsewhere with secure-boot-enroll force in loader.conf",
  "image-root":
    "bootc and sealwright disk build copy them to the ESP; put them there before sealing, for they are in the digest",
  plain: "efitools, firmware set-up menus and systemd-boot take them",
};

export function showDirectory(enrolled: EnrolledDirectory, place: EnrolmentPlace): Shown {
  const lines = [...enrolled.updates.map(showUpdate), enrolled.dryRun ? DRY : NEXT[place]];
  return { text: lines.join("\n"), json: enrolled };
}

function showUpdate({ entries, name, path, signed, size }: EnrolledUpdate): string {
  const count = `${entries} ${entries === 1 ? "entry" : "entries"}`;
  return `${name.padEnd(4)} ${path}  ${count}, ${showSize(size)}${signed ? "" : ", unsigned: for setup mode alone"}`;
}

export function showCloud(enrolled: EnrolledCloud): Shown {
  const lines = [
    ...enrolled.files.map(({ path, size }) => `${path}  ${showSize(size)}`),
    ...enrolled.notes.map((note) => `note: ${note}`),
    ...enrolled.commands.map((command) => `  $ ${command}`),
    ...(enrolled.dryRun ? [DRY] : []),
  ];
  return { text: lines.join("\n"), json: enrolled };
}
