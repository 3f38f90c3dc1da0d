/** The files that carry a key database: `.esl`, and `.auth` to replace it or to append to it. */
import { KEY_DATABASES, parseAuthenticatedVariable, signVariable } from "../../formats/efivars/index.ts";
import { encodeSignatureLists, parseSignatureLists, type SignatureList } from "../../formats/esl/index.ts";
import { PolicyError } from "../../lib/errors.ts";
import type { Signer } from "../../model/signing/index.ts";
import { loadOptional } from "./key-directory.ts";

export type DatabaseName = "PK" | "KEK" | "db" | "dbx";

/** `NAME.esl` and `NAME.auth`: the whole variable. */
export async function replacementFiles(
  name: DatabaseName,
  lists: readonly SignatureList[],
  signer: Signer,
  time: Date,
  file: string = name,
): Promise<[string, Uint8Array][]> {
  const payload = encodeSignatureLists(lists);
  const update = { ...KEY_DATABASES[name], time, payload };
  const auth = await signVariable(update, signer.certificate, (message) => signer.sign(message));
  return [
    [`${file}.esl`, payload],
    [`${file}.auth`, auth],
  ];
}

/** `NAME-append.esl` and `NAME-append.auth`: what is added to whatever a machine has. */
export async function appendFiles(
  name: DatabaseName,
  lists: readonly SignatureList[],
  signer: Signer,
  time: Date,
): Promise<[string, Uint8Array][]> {
  const payload = encodeSignatureLists(lists);
  const update = { ...KEY_DATABASES[name], time, payload, append: true };
  const auth = await signVariable(update, signer.certificate, (message) => signer.sign(message));
  return [
    [`${name}-append.esl`, payload],
    [`${name}-append.auth`, auth],
  ];
}

export async function loadLists(directory: string, file: string): Promise<SignatureList[] | undefined> {
  const bytes = await loadOptional(directory, file);
  return bytes && parseSignatureLists(bytes, file);
}

const SECOND_MS = 1000;

/**
 * The time of an update: now, or the second after the newest that was made within this one. Firmware refuses a replacement
 * that is not later than what it has.
 *
 * @param now in whole seconds
 * @throws {PolicyError} `keys.clock`
 */
export async function laterTime(directory: string, names: readonly DatabaseName[], now: Date): Promise<Date> {
  let later = now;
  for (const name of names) {
    const bytes = await loadOptional(directory, `${name}.auth`);
    if (bytes === undefined) continue;
    const { time } = parseAuthenticatedVariable(bytes, `${name}.auth`);
    if (time < later) continue;
    // Two steps of one script; a clock that is behind is another matter.
    if (time.getTime() - now.getTime() > SECOND_MS) throw behind(name, time, now);
    later = new Date(time.getTime() + SECOND_MS);
  }
  return later;
}

function behind(name: DatabaseName, time: Date, now: Date): PolicyError {
  return new PolicyError(
    "keys.clock",
    `${name}.auth is of ${time.toISOString()}, it is ${now.toISOString()} now: firmware takes only what is later`,
    { hint: "set the clock", data: { name, time: time.toISOString(), now: now.toISOString() } },
  );
}
