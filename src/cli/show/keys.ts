import type { KeyDirectory } from "../../actions/keys/show-keys.ts";
import type { Shown } from "../perform.ts";

/** Files that do not belong together are a failed verification. */
const EXIT_UNSOUND = 80;

export function showKeyDirectory(directory: KeyDirectory): Shown {
  const { keys, owner, problems } = directory;
  const lines = [`${directory.directory}  owner ${owner ?? "unknown (no GUID.txt)"}`];
  for (const key of keys) {
    const until = key.notAfter.slice(0, 10);
    const update = key.update === undefined ? "no update" : `update signed by ${key.update.signedBy}`;
    lines.push(
      `  ${key.name.padEnd(4)} ${key.subject}`,
      `       ${key.key}, valid until ${until}, private key ${key.privateKey}, ${update}`,
      `       sha256 ${key.fingerprint}`,
      ...(key.old === undefined
        ? []
        : [
            `       beside ${key.old.subject}, valid until ${key.old.notAfter.slice(0, 10)}, sha256 ${key.old.fingerprint}`,
          ]),
    );
  }
  lines.push(...problems.map(({ code, file, message }) => `  FAIL ${file}: ${message} [${code}]`));
  return { text: lines.join("\n"), json: directory, exitCode: problems.length === 0 ? 0 : EXIT_UNSOUND };
}
