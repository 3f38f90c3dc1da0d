import { homedir } from "node:os";
import type { Registries } from "../model/registry/index.ts";
import type { Context } from "./context.ts";
import { switchFlag, textFlag } from "./flags.ts";

/** Flags of every command that takes images, which may be in a registry. */
export interface RegistryFlags {
  readonly authfile?: string;
  readonly tlsVerify: boolean;
}

export const registryFlags = {
  authfile: textFlag("FILE", "Credentials for registries (default: those of podman, skopeo and docker login)"),
  tlsVerify: {
    ...switchFlag("Check certificates of registries; =false also allows plain HTTP to this machine"),
    default: true,
  },
} as const;

/** The registries of this user on this machine. */
export async function registriesOf(context: Context, flags: RegistryFlags): Promise<Registries> {
  const { Registries } = await import("../model/registry/index.ts");
  return new Registries({
    env: context.env,
    home: homedir(),
    ...(process.getuid === undefined ? {} : { uid: process.getuid() }),
    authFile: flags.authfile,
    tlsVerify: flags.tlsVerify,
    pacing: { now: () => Date.now(), random: () => Math.random() },
  });
}
