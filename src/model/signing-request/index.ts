/**
 * Signing requests in the file system, and the signatures that come back.
 *
 *     request directory --loadSigningRequest--> SigningRequest      unedited, not yet believed
 *     signatures/…      --completePe---------> signed PE file       verified against certificate and file
 *     signed PE file    --keepSignature------> cache --findSigned--> the same file, signed, in a later build
 */
export { completePe, requireMessageFor, signatureOf } from "./accept-signature.ts";
export {
  type BroughtSignature,
  type FoundApproval,
  loadApprovals,
  loadBroughtSignature,
  loadRequestFile,
  loadSigningRequest,
  type StoreRequestOptions,
  storeApproval,
  storeRawSignature,
  storeSigningRequest,
} from "./directory.ts";
export { findSigned, keepSignature } from "./signed-cache.ts";
