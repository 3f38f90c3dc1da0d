import { UsageError } from "../../../lib/errors.ts";

/** A key in a service: `SCHEME:[//]PATH[?NAME=VALUE&…]`. */
export interface ServiceReference {
  /** Behind the scheme, without the slashes in front. */
  readonly path: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/**
 * @param known names of the parameters that the service has
 * @throws {UsageError} `signer.reference`
 */
export function parseServiceReference(reference: string, known: readonly string[]): ServiceReference {
  const scheme = reference.slice(0, reference.indexOf(":"));
  const rest = reference.slice(scheme.length + 1).replace(/^\/+/, "");
  const [path = "", query = ""] = rest.split("?", 2);
  if (!/^[A-Za-z0-9._~:/@-]{1,1024}$/.test(path)) {
    throw new UsageError("signer.reference", `${scheme}: expected the name of a key behind it`);
  }
  const parameters = new URLSearchParams(query);
  for (const name of parameters.keys()) {
    if (known.includes(name) && parameters.getAll(name).length === 1) continue;
    const expected = known.length === 0 ? "no parameters" : `${known.join(", ")}, each once`;
    throw new UsageError("signer.reference", `${scheme}: parameter ${JSON.stringify(name)}: expected ${expected}`);
  }
  return { path, parameters: Object.fromEntries(parameters) };
}

/** @throws {UsageError} `signer.reference` */
export function requireUrl(text: string, what: string): URL {
  if (URL.canParse(text)) return new URL(text);
  throw new UsageError("signer.reference", `${what}: expected a URL`);
}
