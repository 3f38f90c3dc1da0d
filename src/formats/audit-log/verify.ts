import { FormatError, VerificationError } from "../../lib/errors.ts";
import { fingerprintOf, isSignedBy } from "../signing-request/index.ts";
import type { PublicKey } from "../x509/index.ts";
import { type AuditEntry, auditMessage, describeEntry, hashLine, parseAuditLine } from "./entry.ts";
import { type AuditPosition, otherKey } from "./head.ts";
import { NO_PREVIOUS } from "./layout.ts";

/** Follows a log from its first line, one line after the other. */
export class AuditVerifier {
  readonly #key: PublicKey;
  readonly #expected: readonly AuditPosition[];
  #last: AuditPosition | undefined;

  /** @param expected entries that are known to be in the log, from its head or from somebody who remembers */
  constructor(key: PublicKey, expected: readonly AuditPosition[] = []) {
    this.#key = key;
    this.#expected = expected;
  }

  /**
   * Takes the next line, without its end.
   *
   * @throws {VerificationError} `audit.entry-edited`, `audit.other-key`; `audit.sequence` for a line that is not the
   *   next one: lines are missing or in another order; `audit.forked` when it follows another line than the one
   *   before, or is another than is remembered
   * @throws as `parseAuditLine`
   */
  next(line: Uint8Array): AuditEntry {
    const sequence = this.#last === undefined ? 0 : this.#last.sequence + 1;
    const entry = parseAt(line, sequence);
    const what = describeEntry(entry);
    if (entry.key !== fingerprintOf(this.#key)) throw otherKey(what, entry.key, this.#key);
    if (!isSignedBy(this.#key, entry.algorithm, auditMessage(entry), Buffer.from(entry.signature, "base64"))) {
      throw new VerificationError("audit.entry-edited", `${what}: the signature is not the log key's over this entry`);
    }
    if (entry.sequence !== sequence) {
      throw new VerificationError("audit.sequence", `${what}: found in the place of entry ${sequence}`, {
        data: { found: entry.sequence, expected: sequence },
      });
    }
    const previous = this.#last?.line ?? NO_PREVIOUS;
    if (entry.previous !== previous) throw forked(what, `follows the line ${entry.previous}`, previous);
    const hash = hashLine(line);
    const known = this.#expected.find((position) => position.sequence === sequence);
    if (known !== undefined && known.line !== hash) throw forked(what, `its line is ${hash}`, known.line);
    this.#last = { sequence, line: hash };
    return entry;
  }

  /**
   * Says where the log ends.
   *
   * @throws {VerificationError} `audit.truncated` when more entries are known than there are
   */
  end(): AuditPosition | undefined {
    const count = this.#last === undefined ? 0 : this.#last.sequence + 1;
    const beyond = this.#expected.find(({ sequence }) => sequence >= count);
    if (beyond === undefined) return this.#last;
    throw new VerificationError(
      "audit.truncated",
      `audit log: it ends after ${count} entries, and there were at least ${beyond.sequence + 1}`,
      { data: { found: count, expected: beyond.sequence + 1 } },
    );
  }
}

/** What cannot be read says in its message which line it is. */
function parseAt(line: Uint8Array, sequence: number): AuditEntry {
  try {
    return parseAuditLine(line);
  } catch (error) {
    if (!(error instanceof FormatError) || error.code !== "audit.malformed") throw error;
    const found = String(error.data["found"]);
    const what = `audit entry ${sequence}: ${String(error.data["what"])}`;
    throw new FormatError(error.code, { what, expected: String(error.data["expected"]), found }, { cause: error });
  }
}

function forked(what: string, found: string, expected: string): VerificationError {
  return new VerificationError("audit.forked", `${what}: ${found}, expected ${expected}: another log than this one`, {
    data: { expected },
  });
}
