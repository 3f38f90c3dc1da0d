/** What a host is told apart from its image: files of its own /etc, which the seal leaves to it. */
import { byteStringToBytes } from "../../lib/bytes/byte-string.ts";
import { PolicyError, quote, UsageError } from "../../lib/errors.ts";
import { loadFile } from "../../model/host-io/files.ts";
import { lookup, type Tree } from "../../model/tree/tree.ts";
import type { DiskOptions, UserOptions } from "./options.ts";

/** Safety limit. */
const MAX_KEYS_SIZE = 1 << 20;

/**
 * @returns files by path below /etc
 * @throws {UsageError} `disk.hostname`, `disk.user-name`, `disk.ssh-keys-empty`
 * @throws {PolicyError} `disk.home-read-only` when root's home is part of the sealed tree
 */
export async function customize(tree: Tree, options: DiskOptions): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  if (options.hostname !== undefined) files.set("hostname", `${requireHostname(options.hostname)}\n`);
  if (options.rootSshAuthorizedKeys !== undefined) {
    const home = writableHome(tree, "/root");
    files.set(
      "tmpfiles.d/sealwright-root-ssh.conf",
      sshLines(home, "root", await loadKeys(options.rootSshAuthorizedKeys)),
    );
  }
  for (const user of options.users ?? []) {
    const name = requireUserName(user);
    const home = `${writableHome(tree, "/home")}/${name}`;
    files.set(`sysusers.d/sealwright-${name}.conf`, `u ${name} ${FIRST_USER} - ${home} /bin/bash\n`);
    const lines = [`d ${home} 0700 ${name} ${name} -`];
    if (user.authorizedKeys !== undefined) lines.push(sshLines(home, name, await loadKeys(user.authorizedKeys)));
    files.set(`tmpfiles.d/sealwright-${name}.conf`, `${lines.join("\n").trimEnd()}\n`);
  }
  return files;
}

/** systemd-sysusers takes the next free one when it is taken. */
const FIRST_USER = 1000;

function requireHostname(name: string): string {
  const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/i;
  if (name.length <= 64 && name.split(".").every((part) => label.test(part))) return name;
  throw new UsageError("disk.hostname", `host name ${quote(name)}: expected labels of letters, digits and hyphens`);
}

function requireUserName({ name }: UserOptions): string {
  if (/^[a-z_][a-z0-9_-]{0,30}$/.test(name)) return name;
  throw new UsageError(
    "disk.user-name",
    `user ${quote(name)}: expected up to 31 of a-z, 0-9, "_" and "-", a letter first`,
  );
}

async function loadKeys(path: string): Promise<Uint8Array> {
  const keys = await loadFile(path, "authorized keys", MAX_KEYS_SIZE, "disk.ssh-keys-too-large");
  if (Buffer.from(keys).toString().trim() !== "") return keys;
  throw new UsageError("disk.ssh-keys-empty", `${path}: found no key`);
}

/** tmpfiles.d(5): `f~` writes what is decoded, when the file is not there. */
function sshLines(home: string, user: string, keys: Uint8Array): string {
  return [
    `d ${home}/.ssh 0700 ${user} ${user} -`,
    `f~ ${home}/.ssh/authorized_keys 0600 ${user} ${user} - ${Buffer.from(keys).toString("base64")}`,
    "",
  ].join("\n");
}

/** Where the directory is on a host: in /var, through a symbolic link of the image. */
function writableHome(tree: Tree, path: "/root" | "/home"): string {
  const node = lookup(tree, path);
  const target = node?.kind === "symlink" ? Buffer.from(byteStringToBytes(node.target)).toString() : "";
  const resolved = `/${target.replace(/^\/+/, "")}`.replace(/\/+$/, "");
  if (resolved.startsWith("/var/")) return resolved;
  throw new PolicyError("disk.home-read-only", `${path}: is not a link into /var, so nothing can be added to it`, {
    hint: `make ${path} a link into /var in the image: ln -s var/${path === "/root" ? "roothome" : "home"} ${path}`,
  });
}
