/**
 * Timestamps: an authority signs that a digest existed at a time.
 *
 *     TimeStampReq   version 1, messageImprint { SHA-256, digest }, nonce, certReq TRUE
 *     TimeStampResp  status { granted }, timeStampToken
 *     token          ContentInfo SignedData (version 3) over TSTInfo { policy, messageImprint, serial, genTime, nonce }
 *
 * Follows RFC 3161 with SHA-256 imprints. A token is verified against the certificate that it carries; whether that is an
 * authority to trust is not said here. Not supported: extensions in requests, tokens without certificates.
 */
export { encodeTimestampRequest, type TimestampRequest } from "./request.ts";
export { parseTimestampResponse } from "./response.ts";
export { parseTimestampToken, type Timestamp, type TimestampEvidence, verifyTimestamp } from "./token.ts";
