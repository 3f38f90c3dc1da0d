/** The programs `docker-credential-NAME`: a server's name in, a secret as JSON out. */
import * as v from "valibot";
import { CommandError, quote, RegistryError } from "../../lib/errors.ts";
import { startCommand } from "../host-io/command.ts";
import type { Credential } from "./credential.ts";
import { parseAnswer } from "./parse-answer.ts";

const answerSchema = v.object({ Username: v.string(), Secret: v.string() });

/** Safety limit: a secret has some KiB at most. */
const MAX_ANSWER = 256 * 1024;

/** How every helper says that it has nothing; it ends with status 1 then. */
const NOT_FOUND = /credentials not found/i;

/** In the place of a user name, when the secret is an identity token. */
const TOKEN_USER = "<token>";

/**
 * @param name the part behind `docker-credential-`
 * @throws {RegistryError} `registry.helper-failed`; no word of what the helper wrote is in it
 */
export async function askHelper(name: string, server: string): Promise<Credential | undefined> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) throw failed(name, "no name of a credential helper");
  const output: Uint8Array[] = [];
  let size = 0;
  let status: string | undefined;
  await using helper = startCommand([`docker-credential-${name}`, "get"], { stdin: Buffer.from(server) });
  for await (const chunk of helper.stdout) {
    size += chunk.length;
    if (size > MAX_ANSWER) throw failed(name, `more than ${MAX_ANSWER} bytes`);
    output.push(chunk);
  }
  try {
    await helper.finished();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    if (error.code === "command.not-found") throw failed(name, "program not found");
    const ended = error.data["status"];
    status = typeof ended === "number" ? `exit status ${ended}` : error.code;
  }
  const said = Buffer.concat(output);
  if (status === undefined) return toCredential(name, said);
  if (NOT_FOUND.test(said.toString("utf8"))) return undefined;
  throw failed(name, status);
}

function toCredential(name: string, said: Uint8Array): Credential {
  const answer = parseAnswer(answerSchema, said);
  if (answer === undefined) throw failed(name, "found something else, expected JSON with Username and Secret");
  const { Secret, Username } = answer;
  if (Username === TOKEN_USER) return { kind: "identity-token", token: Secret };
  return { kind: "password", user: Username, password: Secret };
}

function failed(name: string, why: string): RegistryError {
  return new RegistryError("registry.helper-failed", `credential helper ${quote(name)}: ${why}`, {
    data: { helper: name },
  });
}
