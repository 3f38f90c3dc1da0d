/**
 * The approver's key in this browser: made here, kept in IndexedDB, and never seen by anybody, this page included. It
 * signs only what it is asked to, and WebCrypto does not give it out.
 */

export interface BrowserKey {
  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex: how policies and approvals name it. */
  readonly fingerprint: string;
  /** PEM of the public key, for the policy. */
  readonly publicPem: string;
  readonly privateKey: CryptoKey;
}

const DATABASE = "sealwright";
const STORE = "keys";
const NAME = "approver";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" } as const;

/** The key of this browser, if it has one. */
export async function loadKey(): Promise<BrowserKey | undefined> {
  const pair = await inStore<CryptoKeyPair | undefined>("readonly", (store) => store.get(NAME));
  return pair === undefined ? undefined : await describe(pair);
}

/** Makes the key of this browser. The one before, if any, is gone. */
export async function makeKey(): Promise<BrowserKey> {
  const pair = await crypto.subtle.generateKey(ALGORITHM, false, ["sign", "verify"]);
  await inStore("readwrite", (store) => store.put(pair, NAME));
  return await describe(pair);
}

/** @returns r and s, 32 bytes each */
export async function sign({ privateKey }: BrowserKey, message: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, privateKey, message));
}

async function describe({ privateKey, publicKey }: CryptoKeyPair): Promise<BrowserKey> {
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", publicKey));
  const lines = toBase64(spki).match(/.{1,64}/g) ?? [];
  return {
    fingerprint: await sha256Hex(spki),
    publicPem: ["-----BEGIN PUBLIC KEY-----", ...lines, "-----END PUBLIC KEY-----", ""].join("\n"),
    privateKey,
  };
}

async function inStore<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest): Promise<T> {
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.addEventListener("upgradeneeded", () => opening.result.createObjectStore(STORE));
    opening.addEventListener("success", () => resolve(opening.result));
    opening.addEventListener("error", () => reject(opening.error ?? new Error("the browser keeps no data")));
  });
  try {
    const transaction = database.transaction(STORE, mode);
    const asked = work(transaction.objectStore(STORE));
    return await new Promise<T>((resolve, reject) => {
      transaction.addEventListener("complete", () => resolve(asked.result as T));
      transaction.addEventListener("abort", () => reject(transaction.error ?? new Error("the browser keeps no data")));
    });
  } finally {
    database.close();
  }
}

export async function sha256Hex(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCodePoint(...bytes));
}
