/** Keys in tokens and HSMs, named by PKCS #11 URIs (RFC 7512). */
import { createHash } from "node:crypto";
import { encodePkcs11Uri, type Pkcs11Uri, parsePkcs11Uri } from "../../../formats/pkcs11-uri/index.ts";
import { encodeDigestInfo, encodeEcdsaSignature, type KeyFacts } from "../../../formats/x509/index.ts";
import { NotFoundError, quote, ServiceError, UnsupportedError, UsageError } from "../../../lib/errors.ts";
import { throwIfInterrupted } from "../../host-io/interrupt.ts";
import { openPkcs11Module, type Pkcs11Module, returnValue } from "../../host-io/pkcs11.ts";
import { requireSecret } from "../secrets.ts";
import type { KeyContext, SigningKey } from "../signing-key.ts";
import { findPkcs11Modules } from "./modules.ts";
import { certificateOf, findKey, publicKeyOf, type TokenKey } from "./objects.ts";
import { findToken, type Token } from "./tokens.ts";

/**
 * Opens a key in a token: finds it, logs in, finds its certificate.
 *
 * A wrong PIN is never tried again: after a few a token locks itself.
 *
 * @throws {FormatError} `pkcs11-uri.…`
 * @throws {UsageError} `signer.reference`, `signer.pin-needed`, `signer.pin-wrong`, `signer.token-ambiguous`,
 *   `signer.key-ambiguous`
 * @throws {NotFoundError} `signer.pkcs11-module-absent`, `signer.token-absent`, `signer.key-absent`
 * @throws {ServiceError} `signer.pin-locked`, `signer.pkcs11-module`, `signer.pkcs11-failed`
 * @throws {UnsupportedError} `signer.pkcs11-unavailable`, `signer.pkcs11-mechanism`
 */
export async function openPkcs11Key(reference: string, context: KeyContext): Promise<SigningKey> {
  const uri = parsePkcs11Uri(reference);
  requireKeyReference(uri);
  if (uri.pinValue !== undefined) {
    context.warn?.("pin-value puts the PIN where every user of this machine can read it: use pin-source=file:PATH");
  }
  const name = `key ${describe(uri)}`;
  using opened = new DisposableStack();
  const { module, token } = await openToken(uri, context);
  opened.use(module);
  const { key, session } = await translated(name, async () => {
    const session = opened.use(new TokenSession(module, token, uri, context));
    await session.login();
    return { session, key: findKey(module, session.handle, uri, name) };
  });
  const kept = opened.move();
  return {
    name,
    publicKey: () => translated(name, () => publicKeyOf(module, session.handle, key)),
    certificate: () => translated(name, () => certificateOf(module, session.handle, key)),
    sign: (message, facts) => translated(name, () => session.sign(key, message, facts)),
    [Symbol.asyncDispose]: async () => kept.dispose(),
  };
}

function requireKeyReference({ type, pinSource }: Pkcs11Uri): void {
  if (type !== undefined && type !== "private") {
    throw new UsageError("signer.reference", `pkcs11: type is ${type}, expected private: a key signs`);
  }
  if (pinSource?.startsWith("|") === true) {
    throw new UsageError("signer.reference", "pkcs11: pin-source is a program, expected file:PATH", {
      hint: "run the program yourself, and give what it prints in SEALWRIGHT_PIN",
    });
  }
}

/** What the URI says of key and token; nothing of its PIN and of how to get there. */
function describe({ token, serial, manufacturer, model, slotId, object, id }: Pkcs11Uri): string {
  const facts = { token, serial, manufacturer, model, slotId, object, id };
  const known = Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined));
  return quote(encodePkcs11Uri(known));
}

/** Asks one module after the other; the first that has the token is taken. */
async function openToken(uri: Pkcs11Uri, { env = {} }: KeyContext): Promise<{ module: Pkcs11Module; token: Token }> {
  const paths = findPkcs11Modules(uri, env);
  const what = describe(uri);
  for (const path of paths) {
    const module = await openPkcs11Module(path);
    try {
      const token = await translated(`token ${what}`, () => findToken(module, uri, what));
      if (token !== undefined) return { module, token };
    } catch (error) {
      module[Symbol.dispose]();
      throw error;
    }
    module[Symbol.dispose]();
  }
  throw new NotFoundError("signer.token-absent", `no token is ${what}; asked: ${paths.join(", ")}`, {
    data: { modules: paths },
  });
}

/** What a key is signed with, by its kind, the best first. */
const MECHANISMS = {
  rsa: ["CKM_SHA256_RSA_PKCS", "CKM_RSA_PKCS"],
  ec: ["CKM_ECDSA"],
} as const;

class TokenSession implements Disposable {
  readonly handle: Buffer;
  readonly #module: Pkcs11Module;
  readonly #token: Token;
  readonly #uri: Pkcs11Uri;
  readonly #context: KeyContext;
  /** Kept for keys that want it again at each signature (CKA_ALWAYS_AUTHENTICATE). */
  #pin: string | undefined;
  /** The signature before, however it ended. */
  #signing: Promise<unknown> = Promise.resolve();

  constructor(module: Pkcs11Module, token: Token, uri: Pkcs11Uri, context: KeyContext) {
    this.#module = module;
    this.#token = token;
    this.#uri = uri;
    this.#context = context;
    const { CKF_SERIAL_SESSION } = module.constants;
    this.handle = module.cryptoki.C_OpenSession(token.slot, CKF_SERIAL_SESSION);
  }

  async login(): Promise<void> {
    const { constants } = this.#module;
    const { flags } = this.#token;
    if ((flags & constants.CKF_LOGIN_REQUIRED) === 0) return;
    const name = `token ${quote(this.#token.label)}`;
    if ((flags & constants.CKF_USER_PIN_LOCKED) !== 0) throw pinLocked(name);
    if ((flags & constants.CKF_USER_PIN_FINAL_TRY) !== 0) {
      this.#context.warn?.(`${name}: the next wrong PIN locks it`);
    }
    // A reader with its own keypad asks for the PIN itself.
    const keypad = (flags & constants.CKF_PROTECTED_AUTHENTICATION_PATH) !== 0;
    this.#pin = keypad ? undefined : await this.#requirePin(name);
    await this.#authenticate(constants.CKU_USER, name);
  }

  /** One at a time: a session holds one operation (PKCS #11 3.0 §5.13). */
  async sign(key: TokenKey, message: Uint8Array, facts: KeyFacts): Promise<Uint8Array> {
    const before = this.#signing;
    const signing = before.then(() => this.#sign(key, message, facts));
    this.#signing = signing.catch(() => {});
    return await signing;
  }

  async #sign({ handle, alwaysAuthenticate }: TokenKey, message: Uint8Array, facts: KeyFacts): Promise<Uint8Array> {
    throwIfInterrupted(this.#context.signal);
    const { constants, cryptoki } = this.#module;
    const mechanism = this.#mechanismFor(facts);
    cryptoki.C_SignInit(this.handle, { mechanism: constants[mechanism] }, handle);
    if (alwaysAuthenticate) {
      await this.#authenticate(constants.CKU_CONTEXT_SPECIFIC, `token ${quote(this.#token.label)}`);
    }
    // Larger than any signature: the module says how much it wrote.
    const signature = await cryptoki.C_SignAsync(this.handle, toBeSigned(mechanism, message), Buffer.alloc(1024));
    return mechanism === "CKM_ECDSA" ? encodeEcdsaSignature(signature) : signature;
  }

  [Symbol.dispose](): void {
    this.#pin = undefined;
    try {
      this.#module.cryptoki.C_CloseSession(this.handle);
    } catch {
      // A token that was pulled out has closed it.
    }
  }

  #mechanismFor({ kind }: KeyFacts): "CKM_SHA256_RSA_PKCS" | "CKM_RSA_PKCS" | "CKM_ECDSA" {
    const { constants, cryptoki } = this.#module;
    const known = cryptoki.C_GetMechanismList(this.#token.slot);
    const candidates: readonly ("CKM_SHA256_RSA_PKCS" | "CKM_RSA_PKCS" | "CKM_ECDSA")[] =
      kind === "other" ? [] : MECHANISMS[kind];
    const usable = candidates.find((name) => known.includes(constants[name]));
    if (usable !== undefined) return usable;
    throw new UnsupportedError(
      "signer.pkcs11-mechanism",
      `token ${quote(this.#token.label)}: it has none of the mechanisms ${candidates.join(", ")}`,
    );
  }

  async #requirePin(name: string): Promise<string> {
    const { pinSource, pinValue } = this.#uri;
    if (pinValue !== undefined) return pinValue;
    const path = pinSource?.replace(/^file:(?:\/\/(?=\/))?/, "");
    return await requireSecret({ kind: "PIN", opens: name }, path, this.#context);
  }

  async #authenticate(user: number, name: string): Promise<void> {
    try {
      this.#module.cryptoki.C_Login(this.handle, user, this.#pin);
    } catch (error) {
      const reason = returnValue(error);
      if (reason === "CKR_USER_ALREADY_LOGGED_IN") return;
      if (reason === "CKR_PIN_LOCKED") throw pinLocked(name);
      if (reason === "CKR_PIN_INCORRECT" || reason === "CKR_PIN_INVALID" || reason === "CKR_PIN_LEN_RANGE") {
        throw new UsageError("signer.pin-wrong", `${name}: the PIN is wrong; it was tried once`, { data: { reason } });
      }
      throw failed(name, error);
    }
  }
}

function toBeSigned(mechanism: "CKM_SHA256_RSA_PKCS" | "CKM_RSA_PKCS" | "CKM_ECDSA", message: Uint8Array): Buffer {
  if (mechanism === "CKM_SHA256_RSA_PKCS") return Buffer.from(message);
  const digest = createHash("sha256").update(message).digest();
  return mechanism === "CKM_ECDSA" ? digest : Buffer.from(encodeDigestInfo(digest));
}

function pinLocked(name: string): ServiceError {
  return new ServiceError("signer.pin-locked", `${name}: its PIN is locked after too many wrong ones`);
}

/** What a module refused, in its own word; errors of our own stay what they are. */
async function translated<T>(name: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (returnValue(error) === undefined) throw error;
    throw failed(name, error);
  }
}

function failed(name: string, error: unknown): ServiceError {
  const reason = returnValue(error) ?? "an error without a return value";
  return new ServiceError("signer.pkcs11-failed", `${name}: ${reason}`, { data: { reason } });
}
