/** What registries need to know of the machine and the user; given by the doors. */
export interface RegistryEnvironment {
  /** Environment variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Home directory. */
  readonly home: string;
  /** Numeric user ID, for the place of credentials where no `XDG_RUNTIME_DIR` is set. */
  readonly uid?: number;
}

/** XDG Base Directory Specification: `$XDG_CONFIG_HOME`, by default `~/.config`. */
export function configHome({ env, home }: RegistryEnvironment): string {
  return env["XDG_CONFIG_HOME"] || `${home}/.config`;
}
