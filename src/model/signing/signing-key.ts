import type { KeyFacts } from "../../formats/x509/index.ts";
import type { SecretOptions } from "./secrets.ts";

/** A private key, wherever it is: in a file, in a token, in a service. What it signs is not trusted before it is verified. */
export interface SigningKey extends AsyncDisposable {
  /** For messages: says which key, and never a secret. */
  readonly name: string;
  /** SubjectPublicKeyInfo, DER. Absent when it cannot be told. */
  publicKey(): Promise<Uint8Array | undefined>;
  /** Telling the public key is a request to a service, which may need a permission that signing does not. */
  readonly asksForPublicKey?: boolean;
  /** The certificate kept beside the key, DER. Absent where keys are kept without. */
  certificate?(): Promise<Uint8Array | undefined>;
  /**
   * As `Signer.sign`.
   *
   * @param facts the kind of key that is expected: it selects the algorithm
   */
  sign(message: Uint8Array, facts: KeyFacts): Promise<Uint8Array>;
}

/** Names of environment variables and their values. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What reaching a key may need of the world; the doors give it. */
export interface KeyContext extends SecretOptions {
  /** Credentials and endpoints of services. Nothing by default: a service then has no credentials. */
  readonly env?: Environment;
  /** Home directory, for the files in which tools of services keep credentials. */
  readonly home?: string | undefined;
  /** Use files with keys and secrets that others than their owner can read or write. */
  readonly allowLooseKeyPermissions?: boolean;
  /** Told what is unwise and works all the same. */
  readonly warn?: (message: string) => void;
  readonly now: Date;
  readonly signal?: AbortSignal | undefined;
}
