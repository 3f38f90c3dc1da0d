/** The proxy that the environment names, as undici takes it. The lower-case names come first, as in curl. */
export function proxyOf(env: Readonly<Record<string, string | undefined>>) {
  const httpProxy = env["http_proxy"] || env["HTTP_PROXY"];
  const httpsProxy = env["https_proxy"] || env["HTTPS_PROXY"];
  if (!httpProxy && !httpsProxy) return undefined;
  return {
    noProxy: env["no_proxy"] || env["NO_PROXY"] || "",
    ...(httpProxy ? { httpProxy } : {}),
    ...(httpsProxy ? { httpsProxy } : {}),
  };
}
