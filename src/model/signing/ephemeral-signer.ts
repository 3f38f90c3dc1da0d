import { buildCertificate, type CertificateRequest } from "../../formats/x509/index.ts";
import { PrivateKey, type RsaBits } from "./private-key.ts";
import type { Signer } from "./signer.ts";

/** What goes into the certificate; the key comes from the operating system's random numbers. */
export type EphemeralSignerOptions = Omit<CertificateRequest, "publicKey" | "issuer"> & { readonly bits?: RsaBits };

/** Makes a key that exists in memory alone, with a self-signed certificate: for a trial run in a virtual machine. */
export async function openEphemeralSigner({ bits = 2048, ...request }: EphemeralSignerOptions): Promise<Signer> {
  const key = await PrivateKey.generate(bits);
  const certificate = await buildCertificate({ ...request, publicKey: key.publicKey }, (message) => key.sign(message));
  return {
    certificate,
    sign: (message) => key.sign(message),
    [Symbol.asyncDispose]: async () => {},
  };
}
