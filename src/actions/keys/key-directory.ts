/**
 * A directory of Secure Boot keys: one flat layout that the tools of the field take as it is.
 *
 *     GUID.txt                     signature owner, one line
 *     PK.key   KEK.key   db.key    private key, PKCS#8 PEM, mode 0600
 *     PK.crt   KEK.crt   db.crt    certificate, PEM
 *     PK.cer   KEK.cer   db.cer    certificate, DER
 *     PK.esl   KEK.esl   db.esl    signature list with that certificate
 *     PK.auth  KEK.auth  db.auth   signed update for a machine in setup mode; PK and KEK signed by PK, db by KEK
 *
 *     dbx.esl  dbx.auth            what was revoked, after `keys revoke`; dbx-append.… adds it to what a machine has
 *     db-old.key  db-old.crt       the key before, while `keys rotate` has both in use; likewise PK-old, KEK-old
 *     db-append.esl  …auth         adds the new certificate to what a machine has; likewise KEK-append
 *     PK-update.auth               the new PK, signed by the one before, for machines that have that one
 *     db-rotation.json             when it began and may end
 *     history/                     every step that changed something, with the files before and after
 *
 * | tool | takes |
 * | --- | --- |
 * | bcvk | the directory (`--secure-boot-keys DIR`): GUID.txt and the three .crt |
 * | systemd-boot, bootc | the three .auth, as `loader/keys/NAME/` or `/usr/lib/bootc/install/secureboot-keys/NAME/` |
 * | virt-fw-vars | GUID.txt and .crt: `--set-pk`, `--add-kek`, `--add-db` |
 * | ukify, sbsign, systemd-sbsign | db.key and db.crt |
 * | sbctl | .key and .crt: `sbctl import-keys --pk-key PK.key --pk-cert PK.crt …`; it keeps them as `PK/PK.key`, `PK/PK.pem` |
 * | efitools | .esl, .auth |
 * | firmware set-up menus | .cer, .esl or .auth, which one depends on the vendor |
 */
import { join } from "node:path";
import { KEY_DATABASES } from "../../formats/efivars/index.ts";
import { exists, loadFile } from "../../model/host-io/files.ts";

export const OWNER_FILE = "GUID.txt";

/** The keys in the order of trust. Firmware is written the other way round: PK last, since it ends setup mode. */
export const KEY_NAMES = ["PK", "KEK", "db"] as const;
export type KeyName = (typeof KEY_NAMES)[number];

/** Which key signs the update of which variable. */
export function signerOf(name: KeyName): "PK" | "KEK" {
  return KEY_DATABASES[name].signedBy;
}

/** Files of a key directory are small. Safety limit for what is read from one. */
export const MAX_FILE_SIZE = 64 * 1024;

/** The content of a file of a key directory, or nothing when it is not there. */
export async function loadOptional(directory: string, file: string): Promise<Uint8Array | undefined> {
  const path = join(directory, file);
  return (await exists(path)) ? await loadFile(path, file, MAX_FILE_SIZE, "keys.file-too-large") : undefined;
}
