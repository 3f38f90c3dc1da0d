import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

type Environment = Readonly<Record<string, string | undefined>>;

/** XDG Base Directory Specification: `$XDG_CACHE_HOME/sealwright`, by default `~/.cache/sealwright`. */
export function cacheDirectory(env: Environment): string {
  return join(absolute(env["XDG_CACHE_HOME"]) ?? join(homedir(), ".cache"), "sealwright");
}

/** As `cacheDirectory`, for what is to stay: `$XDG_STATE_HOME/sealwright`, by default `~/.local/state/sealwright`. */
export function stateDirectory(env: Environment): string {
  return join(absolute(env["XDG_STATE_HOME"]) ?? join(homedir(), ".local/state"), "sealwright");
}

/**
 * Where virtual machines have what: state of ours, `$XDG_CONFIG_HOME` for firmware descriptors of the user, and
 * `$XDG_RUNTIME_DIR` or the system's place for temporary files for sockets.
 */
export function machinePlaces(env: Environment): {
  readonly state: string;
  readonly config: string;
  readonly runtime: string;
} {
  return {
    state: stateDirectory(env),
    config: absolute(env["XDG_CONFIG_HOME"]) ?? join(homedir(), ".config"),
    runtime: absolute(env["XDG_RUNTIME_DIR"]) ?? tmpdir(),
  };
}

const absolute = (path: string | undefined): string | undefined => (path?.startsWith("/") === true ? path : undefined);
