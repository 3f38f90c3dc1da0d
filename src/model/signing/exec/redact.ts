import type { Environment } from "../signing-key.ts";

/** Names of variables whose values nobody should read in a log. */
const SECRET_NAME = /SECRET|TOKEN|PASS|PIN$|PIN_|CREDENTIAL|PRIVATE|(?:^|_)KEY$/i;

/** Shorter values would blot out words that happen to hold them. */
const MIN_LENGTH = 4;

/** Takes the values of secret environment variables out of what another program said. */
export function redact(text: string, env: Environment): string {
  return Object.entries(env)
    .filter(([name, value]) => SECRET_NAME.test(name) && (value?.length ?? 0) >= MIN_LENGTH)
    .toSorted(([, a = ""], [, b = ""]) => b.length - a.length)
    .reduce((shown, [name, value = ""]) => shown.replaceAll(value, `[${name}]`), text);
}
