import { EFI_GLOBAL_VARIABLE, SHIM_LOCK_GUID, type VariableName } from "../../formats/efivars/index.ts";
import { hasEfiVariables, loadEfiVariable } from "./efi-variables.ts";

/** What the firmware says about Secure Boot; `undefined` where it says nothing. */
export interface SecureBootState {
  /** Whether there are variables at all: UEFI firmware, and efivarfs mounted. */
  readonly hasVariables: boolean;
  readonly secureBoot: boolean | undefined;
  /** No PK: everybody may write the keys. */
  readonly setupMode: boolean | undefined;
  readonly auditMode: boolean | undefined;
  readonly deployedMode: boolean | undefined;
  /** shim was told to start what nobody signed. */
  readonly shimValidationOff: boolean;
}

const BYTES = {
  secureBoot: { name: "SecureBoot", vendor: EFI_GLOBAL_VARIABLE },
  setupMode: { name: "SetupMode", vendor: EFI_GLOBAL_VARIABLE },
  auditMode: { name: "AuditMode", vendor: EFI_GLOBAL_VARIABLE },
  deployedMode: { name: "DeployedMode", vendor: EFI_GLOBAL_VARIABLE },
  shimValidationOff: { name: "MokSBStateRT", vendor: SHIM_LOCK_GUID },
} as const satisfies Record<string, VariableName>;

/** @see UEFI 2.10 §3.3 and §32.3 */
export async function loadSecureBoot(root: string): Promise<SecureBootState> {
  const isSet = async (variable: VariableName): Promise<boolean | undefined> => {
    const found = await loadEfiVariable(root, variable);
    return found && found.data[0] === 1;
  };
  return {
    hasVariables: await hasEfiVariables(root),
    secureBoot: await isSet(BYTES.secureBoot),
    setupMode: await isSet(BYTES.setupMode),
    auditMode: await isSet(BYTES.auditMode),
    deployedMode: await isSet(BYTES.deployedMode),
    shimValidationOff: (await isSet(BYTES.shimValidationOff)) === true,
  };
}
