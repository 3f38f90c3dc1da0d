/**
 * How a key directory changes: step by step, each kept, none half done.
 *
 *     history/0001/step.json     what was done, when
 *     history/0001/before/       the files that the step replaced or took away
 *     history/0001/after/        the files that it put in their place
 *     history/0001/done          written last
 *
 * A step is written under a temporary name and renamed: that is the moment at which it is taken. Then its files go to
 * their places, each renamed. Whoever finds a step without `done` finishes it first, so that an interruption loses nothing
 * and no private key is ever overwritten without a copy.
 */
import { constants } from "node:fs";
import { copyFile, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { FormatError, InputOutputError, quote } from "../../lib/errors.ts";
import { errnoOf, outputError } from "../../model/host-io/errors.ts";
import { exists, loadFile, storeFile, syncDirectory, syncFile } from "../../model/host-io/files.ts";
import { openTempDirBeside, temporaryNameBeside } from "../../model/host-io/temp.ts";
import type { PrivateKey } from "../../model/signing/private-key.ts";
import { MAX_FILE_SIZE } from "./key-directory.ts";

/** What one step does to the files of a key directory. */
export interface KeyStep {
  /** For `step.json`; never key material. */
  readonly facts: Readonly<Record<string, unknown>> & { readonly kind: string };
  /** New contents by name. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** Keys that are made in this step, by name. */
  readonly keys?: ReadonlyMap<string, PrivateKey>;
  /** Files that get the content of another, by name; private keys among them are not read into memory. */
  readonly copies?: ReadonlyMap<string, string>;
  /** Names that vanish. */
  readonly removed?: readonly string[];
}

const HISTORY = "history";
const DONE = "done";
const STEP = "step.json";

/**
 * Takes a step.
 *
 * @param now goes into `step.json`
 * @returns path of the step, relative to the directory
 * @throws {InputOutputError} `keys.busy` when another step is taken at the same moment; `output.…`
 */
export async function takeStep(directory: string, step: KeyStep, now: Date): Promise<string> {
  await settleSteps(directory);
  const history = join(directory, HISTORY);
  await mkdir(history, { recursive: true, mode: 0o700 });
  const number = (await listSteps(directory)).length + 1;
  const name = String(number).padStart(4, "0");
  const place = join(history, name);
  await using temporary = await openTempDirBeside(place);
  const [before, after] = [join(temporary.path, "before"), join(temporary.path, "after")];
  for (const part of [before, after]) await mkdir(part, { mode: 0o700 });

  for (const [to, from] of step.copies ?? []) await copyWhole(join(directory, from), join(after, to));
  for (const [file, content] of step.files) await storeFile(join(after, file), content);
  for (const [file, key] of step.keys ?? []) await key.store(join(after, file));
  const removed = step.removed ?? [];
  for (const file of [...(await readdir(after)), ...removed]) {
    if (await exists(join(directory, file))) await copyWhole(join(directory, file), join(before, file));
  }
  const record = { schema: "sealwright.keys.step/1", number, time: now.toISOString(), ...step.facts, removed };
  await storeFile(join(temporary.path, STEP), Buffer.from(`${JSON.stringify(record, undefined, 2)}\n`));
  for (const part of [before, after, temporary.path]) await syncDirectory(part);
  try {
    await rename(temporary.path, place);
  } catch (error) {
    if (!["EEXIST", "ENOTEMPTY"].includes(errnoOf(error) ?? "")) throw outputError(error, place);
    throw new InputOutputError("keys.busy", `${quote(directory)}: something else changes these keys at this moment`);
  }
  await syncDirectory(history);
  await settleSteps(directory);
  return `${HISTORY}/${name}`;
}

/**
 * Finishes the steps that an interruption left undone.
 *
 * @returns how many
 */
export async function settleSteps(directory: string): Promise<number> {
  let settled = 0;
  for (const name of await listSteps(directory)) {
    const place = join(directory, HISTORY, name);
    if (await exists(join(place, DONE))) continue;
    const removed = await loadRemoved(join(place, STEP));
    for (const file of await readdir(join(place, "after"))) {
      await copyWhole(join(place, "after", file), join(directory, file));
    }
    for (const file of removed) await rm(join(directory, file), { force: true });
    await syncDirectory(directory);
    await storeFile(join(place, DONE), new Uint8Array());
    settled += 1;
  }
  return settled;
}

async function listSteps(directory: string): Promise<string[]> {
  const names = await readdir(join(directory, HISTORY)).catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return [];
    throw outputError(error, join(directory, HISTORY));
  });
  return names.filter((name) => /^\d{4,}$/.test(name)).sort();
}

/** Names in the directory itself; anything else is no step of ours. */
async function loadRemoved(path: string): Promise<string[]> {
  const text = Buffer.from(await loadFile(path, STEP, MAX_FILE_SIZE, "keys.file-too-large")).toString("utf8");
  const refuse = (found: string): FormatError =>
    new FormatError("keys.step-malformed", { what: path, expected: "a step with the names it removes", found });
  let step: unknown;
  try {
    step = JSON.parse(text);
  } catch {
    throw refuse("no JSON");
  }
  const removed = (step as { removed?: unknown } | null)?.removed;
  if (!Array.isArray(removed) || !removed.every((name) => typeof name === "string" && /^[\w.-]+$/.test(name))) {
    throw refuse("something else");
  }
  return removed as string[];
}

/** Copies by the operating system, with the mode; the old content is there until the new one is. */
async function copyWhole(from: string, to: string): Promise<void> {
  const temporary = temporaryNameBeside(to);
  try {
    await copyFile(from, temporary, constants.COPYFILE_EXCL);
    await syncFile(temporary);
    await rename(temporary, to);
  } catch (error) {
    await rm(temporary, { force: true });
    throw outputError(error, to);
  }
}
