/**
 * AWS Signature Version 4: how a request to an AWS service says who sends it.
 *
 *     canonical request   METHOD / "" headers, names of signed headers, SHA-256 of the body
 *     string to sign      AWS4-HMAC-SHA256, time, scope, SHA-256 of the canonical request
 *     key                 HMACs from the secret over day, region, service, "aws4_request"
 *
 * Follows the "Signature Version 4 signing process" of the AWS General Reference, for requests to the path `/` without
 * a query: those of every service with a JSON or form protocol. Not supported: S3, presigned URLs, chunked bodies.
 */
export { type AwsCredentials, type AwsRequest, type AwsScope, canonicalRequest, signAwsRequest } from "./sign.ts";
