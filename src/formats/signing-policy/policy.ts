import { parse, TomlError } from "smol-toml";
import * as v from "valibot";
import { FormatError, quote } from "../../lib/errors.ts";
import { parseGlob } from "./glob.ts";

/** Safety limit: a policy is a page. */
export const MAX_POLICY_SIZE = 256 << 10;

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(4096));
const texts = v.pipe(v.array(text), v.maxLength(1000));
const globs = v.pipe(texts, v.minLength(1));

/** As in logs and file names; the first characters keep paths and options apart. */
const approverName = v.pipe(v.string(), v.regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/));

/** `90s`, `15m`, `24h`, `7d`. */
const duration = v.pipe(
  v.string(),
  v.regex(/^[1-9]\d{0,5}[smhd]$/),
  v.transform((value) => Number(value.slice(0, -1)) * (SECONDS[value.slice(-1)] ?? 1)),
);
const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

const schema = v.strictObject({
  /** Repositories that images may come from, as globs. */
  repositories: globs,
  /** Names that sealed images may have, as globs. Absent: any, or none named. */
  targets: v.optional(globs),
  /** Certificates that may be signed for: files, or `sha256:` and a fingerprint. */
  certificates: v.pipe(texts, v.minLength(1)),
  /** Seconds from a request's creation to its signature. */
  "max-age": v.optional(duration),
  /** Sign `composefs=?`. */
  "allow-missing-verity": v.optional(v.boolean(), false),
  /** Sign a version that is lower than the last one of that name. */
  "allow-older-version": v.optional(v.boolean(), false),
  /** Sign addons that are not from the image. */
  "allow-addons": v.optional(v.boolean(), false),
  /** SHA-256 of stubs that are not from the image. */
  stubs: v.optional(v.array(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/))), []),
  /** Public keys whose PCR policies may be in a UKI: files in PEM. */
  "pcr-keys": v.optional(texts, []),
  /** Which findings of `lint` stand in the way. */
  lint: v.optional(v.picklist(["off", "fatal", "warnings"]), "fatal"),
  /** Lints by name that do not. */
  "skip-lints": v.optional(texts, []),
  "kernel-arguments": v.optional(
    v.strictObject({
      /** Each of these globs fits some argument. */
      required: v.optional(texts, []),
      /** None of these globs fits any. */
      forbidden: v.optional(texts, []),
    }),
    {},
  ),
  approvals: v.optional(
    v.strictObject({
      /** Approvals of different people that are needed. */
      quorum: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64)),
      /** Public keys by name: files in PEM. */
      approvers: v.pipe(v.record(approverName, text), v.minEntries(1)),
    }),
  ),
  audit: v.optional(
    v.strictObject({
      /** File. */
      log: text,
      /** Key in any notation. */
      key: text,
      /** File with its certificate. */
      certificate: v.optional(text),
    }),
  ),
});

/** What a signer is willing to sign. Files are as they are written: relative to the policy's own. */
export type SigningPolicy = v.InferOutput<typeof schema>;

/**
 * Reads a policy. What it does not know it refuses: a rule with a spelling mistake is no rule.
 *
 * @param what names the file in messages
 * @throws {FormatError} `policy.toml`, `policy.malformed`, `policy.key-unknown`, `policy.quorum-unreachable`,
 *   `policy.glob`
 */
export function parseSigningPolicy(bytes: Uint8Array, what = "policy"): SigningPolicy {
  const result = v.safeParse(schema, parseToml(bytes, what), { abortEarly: true });
  if (!result.success) throw refusal(result.issues[0], what);
  const policy = result.output;
  const { approvals, "kernel-arguments": args } = policy;
  for (const glob of [
    ...policy.repositories,
    ...(policy.targets ?? []),
    ...(args.required ?? []),
    ...(args.forbidden ?? []),
  ]) {
    parseGlob(glob, what);
  }
  const people = Object.keys(approvals?.approvers ?? {}).length;
  if (approvals === undefined || approvals.quorum <= people) return policy;
  throw new FormatError("policy.quorum-unreachable", {
    what: `${what}: approvals.quorum`,
    expected: `at most ${people}, the number of approvers`,
    found: `${approvals.quorum}`,
  });
}

function parseToml(bytes: Uint8Array, what: string): unknown {
  try {
    if (bytes.length > MAX_POLICY_SIZE) throw new TypeError(`more than ${MAX_POLICY_SIZE} bytes`);
    return parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes), { maxDepth: 16 });
  } catch (cause) {
    // TypeError is what the decoder throws for bytes that are no UTF-8.
    if (!(cause instanceof TomlError) && !(cause instanceof TypeError)) throw cause;
    const found = quote(cause.message.split("\n", 1)[0] ?? "");
    throw new FormatError("policy.toml", { what, expected: "TOML 1.0", found }, { cause });
  }
}

function refusal(issue: v.BaseIssue<unknown>, what: string): FormatError {
  const path = (issue.path ?? []).map(({ key }) => String(key)).join(".");
  const unknown = issue.expected === "never";
  const found = typeof issue.input === "string" ? quote(issue.input) : issue.received;
  return new FormatError(unknown ? "policy.key-unknown" : "policy.malformed", {
    what: `${what}: ${path || "document"}`,
    expected: unknown ? "a key of the policy" : (issue.requirement?.toString() ?? issue.expected ?? "another value"),
    found: unknown ? quote(String(issue.path?.at(-1)?.key)) : found,
  });
}
