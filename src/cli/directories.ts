import { homedir } from "node:os";
import { join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/** XDG Base Directory Specification: `$XDG_CACHE_HOME/sealwright`, by default `~/.cache/sealwright`. */
export function cacheDirectory(env: Environment): string {
  const base = env["XDG_CACHE_HOME"];
  return join(base !== undefined && base.startsWith("/") ? base : join(homedir(), ".cache"), "sealwright");
}
