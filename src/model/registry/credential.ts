/** Who we say we are to a registry. */
export type Credential =
  | { readonly kind: "password"; readonly user: string; readonly password: string }
  /** A refresh token of OAuth 2, which buys access tokens. */
  | { readonly kind: "identity-token"; readonly token: string }
  /** An access token, used as it is. */
  | { readonly kind: "access-token"; readonly token: string };

/** `Basic` of RFC 7617, in UTF-8. */
export function basicAuthorization(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}
