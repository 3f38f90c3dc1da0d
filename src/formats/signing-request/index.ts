/**
 * Signing requests: what is to be signed elsewhere, and the decisions of people on it.
 *
 *     DIR/
 *       request.json          SigningRequest: image, options of the seal, items to sign, the certificate expected
 *       files/NAME            the unsigned PE files; `_stub.efi` when the stub is not the image's
 *       to-be-signed/NAME     the `toBeSigned` bytes once more, for tools that want a file
 *       signatures/NAME.sig   raw signature over those bytes   one of these for each item, written by
 *       signatures/NAME.p7s   PKCS #7, DER                     whoever holds the key
 *       signatures/NAME       the PE file with a signature
 *       approvals/WHO.json    Approval: signed by its approver over the request's identifier
 *
 * A request is named by the SHA-256 of the canonical JSON (RFC 8785) of everything in it but that name. It binds every
 * file by its hash. It is made from the image and from its `seal` member alone, so whoever is asked to sign can make it
 * again from the image and trusts no byte of the builder.
 *
 * Version 1 of both documents; members that are not known are refused. Not supported: several certificates in one
 * request, several images.
 */
export {
  type Approval,
  type ApprovalContent,
  approvalMessage,
  encodeApproval,
  fingerprintOf,
  isSignedBy,
  makeApproval,
  parseApproval,
  SIGNATURE_ALGORITHMS,
  type SignatureAlgorithm,
  signatureAlgorithmOf,
  verifyApproval,
} from "./approval.ts";
export { hashDocument, showTime } from "./document.ts";
export {
  APPROVALS,
  FILES,
  MAX_APPROVAL_SIZE,
  MAX_FILE_SIZE,
  MAX_REQUEST_SIZE,
  PCR_ROLE,
  PE_ROLES,
  type PeRole,
  REQUEST_FILE,
  ROUNDS,
  SIGNATURES,
  TO_BE_SIGNED,
} from "./layout.ts";
export {
  encodeSigningRequest,
  listRequestFiles,
  makeSigningRequest,
  type PcrItem,
  type PeItem,
  parseSigningRequest,
  type RequestContent,
  type RequestFile,
  type RequestItem,
  type SealRequest,
  type SigningRequest,
  STUB_NAME,
} from "./request.ts";
